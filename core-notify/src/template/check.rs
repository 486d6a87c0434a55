//! Whether templates do what every notification needs, tried with data of all sorts.

use super::{RenderError, Rendered, Templates};
use crate::event::EventKind;
use crate::notification::MASK;
use crate::sample::{SCRIPT, Sample};

/// As much as a subject may have, in characters: the column it is stored in has no more.
const LONGEST_SUBJECT: usize = 255;

/// Something that is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateProblem {
    /// The template, by the type key of its notifications.
    pub template: &'static str,
    /// The sample that it showed with.
    pub sample: &'static str,
    /// What is wrong.
    pub what: String,
}

impl Templates {
    /// Renders all templates with all samples, and tells what is wrong with any of them.
    #[must_use]
    pub fn check(&self) -> Vec<TemplateProblem> {
        let mut problems = Vec::new();
        for kind in EventKind::ALL {
            for sample in Sample::all() {
                let rendered = self.render(kind, sample.facts(kind), &sample.contact);
                let found = problems_of(kind, &sample, rendered);
                problems.extend(found.into_iter().map(|what| TemplateProblem {
                    template: kind.type_key(),
                    sample: sample.name,
                    what,
                }));
            }
        }
        problems
    }
}

fn problems_of(
    kind: EventKind,
    sample: &Sample,
    rendered: Result<Rendered, RenderError>,
) -> Vec<String> {
    let rendered = match rendered {
        Ok(rendered) => rendered,
        Err(error) => return vec![core_kernel::chain(&error)],
    };
    let Rendered {
        subject,
        html,
        plain,
        sms,
    } = &rendered;
    let number = format!("#{}", sample.order.id.number());
    let names_order = |text: &String| text.contains(&number);
    let masked = [html, plain].map(|text| text.contains(MASK));
    let escapes = ["&lt;", "&gt;", "&amp;", "&quot;", "&#x27;"];
    // A text that is typed and rendered need not have a tag of ours; all it has of tags is typed.
    let typed_tags = ["<script", "<img"];
    let wrong = [
        (
            subject.trim().is_empty() || subject.contains('\n'),
            "the subject is not one line",
        ),
        (
            subject.chars().count() > LONGEST_SUBJECT,
            "the subject has more than 255 characters",
        ),
        (html.trim().is_empty(), "the HTML is empty"),
        (plain.trim().is_empty(), "the plain text is empty"),
        (
            typed_tags.iter().any(|tag| html.contains(tag)),
            "the HTML has what a customer typed unescaped",
        ),
        (
            escapes.iter().any(|escape| plain.contains(escape)),
            "the plain text is escaped as HTML is",
        ),
        (
            sample.contact.first_name.contains(SCRIPT) && !plain.contains(SCRIPT),
            "the plain text does not say what the customer is called",
        ),
        (
            kind.is_about_order() && ![subject, html, plain].into_iter().all(names_order),
            "it does not name the order",
        ),
        (
            kind.is_about_order() && !sms.as_ref().is_some_and(names_order),
            "the text message does not name the order",
        ),
        (
            kind.is_about_order() && masked != [false; 2],
            "it has the place of a one-time token, which it is not given",
        ),
        (
            !kind.is_about_order() && masked != [true; 2],
            "it has no place for the one-time token",
        ),
    ];
    let wrong = wrong.into_iter().filter(|(wrong, _)| *wrong);
    wrong.map(|(_, what)| what.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::FILES;
    use super::*;

    /// The templates with one of them replaced.
    fn with(name: &str, source: &'static str) -> Templates {
        let files = FILES.map(|(known, old)| match known == name {
            true => (known, source),
            false => (known, old),
        });
        Templates::of(&files).unwrap()
    }

    #[test]
    fn the_templates_that_come_with_the_program_have_no_problem() {
        assert_eq!(Templates::embedded().unwrap().check(), []);
    }

    #[test]
    fn what_is_wrong_is_told_with_the_template_and_the_sample() {
        for (name, source, sample, what) in [
            (
                "order_created.html",
                "{{ nobody }}",
                "usual",
                "cannot be rendered",
            ),
            (
                "order_created.html",
                "#{{ number }} {{ first_name | safe }}",
                "hostile",
                "unescaped",
            ),
            (
                "order_created.txt",
                "#{{ number }} {{ first_name }} &lt;",
                "hostile",
                "is escaped",
            ),
            ("order_created.txt", "#{{ number }}", "hostile", "is called"),
            ("order_created.html", "Hello", "bare", "not name the order"),
            ("order_created.txt", " ", "usual", "plain text is empty"),
            (
                "order_created.subject.txt",
                "#{{ number }}\n\nx",
                "usual",
                "not one line",
            ),
            (
                "order_created.subject.txt",
                "#{{ number }} {% for item in items %}{{ item.name }}{% endfor %}",
                "hostile",
                "255",
            ),
            (
                "order_created.sms.txt",
                "#{{ number }} \u{e7}",
                "usual",
                "UCS-2",
            ),
            (
                "order_created.sms.txt",
                "#{{ number }} {{ first_name }}{{ first_name }}",
                "hostile",
                "segments",
            ),
            (
                "order_created.sms.txt",
                "thank you",
                "bare",
                "text message does not name",
            ),
            ("password_reset.html", "Hello", "usual", "no place"),
            (
                "order_shipped.html",
                "#{{ number }} ********",
                "usual",
                "not given",
            ),
        ] {
            let problems = with(name, source).check();
            let template = name.split('.').next().unwrap();
            let told = problems.iter().any(|one| {
                (one.template, one.sample) == (template, sample) && one.what.contains(what)
            });
            assert!(told, "{name}: {what}: {problems:?}");
            assert!(problems.iter().all(|one| one.template == template));
        }
    }
}

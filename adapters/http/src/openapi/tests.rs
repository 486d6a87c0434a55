//! What the documents promise, held against the code.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Service, openapi};
use crate::route::Route;
use crate::{docs, ops};

const ALL: [(Service, &[Route]); 3] = [
    (Service::Auth, &crate::auth::ROUTES),
    (Service::Orders, &crate::orders::ROUTES),
    (Service::Notify, &crate::notify::ROUTES),
];

fn document(service: Service) -> Value {
    serde_json::from_str(openapi(service)).unwrap()
}

/// Every object in a document, with its JSON Pointer.
fn walk<'a>(value: &'a Value, at: &str, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(at, value);
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                walk(field, &format!("{at}/{name}"), visit);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{at}/{index}"), visit);
            }
        }
        _ => {}
    }
}

#[test]
fn every_route_is_in_the_document_and_nothing_else_is() {
    for (service, routes) in ALL {
        let served: BTreeSet<String> = routes
            .iter()
            .chain(&ops::ROUTES)
            // The pages at `/docs` are for people.
            .chain([&docs::DOCUMENT])
            .flat_map(|route| {
                let methods = route.methods.split(", ").filter(|method| *method != "HEAD");
                methods.map(|method| format!("{method} {}", route.name))
            })
            .collect();
        let document = document(service);
        let paths = document["paths"].as_object().unwrap();
        let told: BTreeSet<String> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        assert_eq!(told, served, "{service:?}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    for (service, _) in ALL {
        let document = document(service);
        walk(&document, "", &mut |at, value| {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                let target = reference
                    .strip_prefix('#')
                    .and_then(|to| document.pointer(to));
                assert!(target.is_some(), "{service:?} {at}: {reference}");
            }
        });
    }
}

#[test]
fn every_shape_is_referred_to() {
    for (service, _) in ALL {
        let document = document(service);
        let text = document.to_string();
        for name in document["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
        {
            let reference = format!("\"#/components/schemas/{name}\"");
            assert!(text.contains(&reference), "{service:?} {name}");
        }
    }
}

#[test]
fn every_example_is_of_its_shape() {
    for (service, _) in ALL {
        let document = document(service);
        let mut examples = 0;
        walk(&document, "", &mut |at, value| {
            let (Some(schema), Some(all)) = (value.get("schema"), value.get("examples")) else {
                return;
            };
            let mut whole = schema.clone();
            whole["components"] = document["components"].clone();
            let validator = jsonschema::options()
                .should_validate_formats(true)
                .build(&whole)
                .unwrap();
            for (name, example) in all.as_object().unwrap() {
                let faults: Vec<_> = validator
                    .iter_errors(&example["value"])
                    .map(|fault| fault.to_string())
                    .collect();
                assert!(faults.is_empty(), "{service:?} {at} {name}: {faults:#?}");
                examples += 1;
            }
        });
        assert!(examples > 5, "{service:?}");
    }
}

#[test]
fn operations_have_names_of_their_own() {
    for (service, _) in ALL {
        let mut names = BTreeSet::new();
        walk(&document(service), "", &mut |_, value| {
            if let Some(name) = value.get("operationId").and_then(Value::as_str) {
                assert!(names.insert(name.to_owned()), "{service:?} {name}");
            }
        });
    }
}

//! What a statement does, in few words (`db.query.summary` of OpenTelemetry's conventions).

/// More words than this tell nobody more.
const MOST: usize = 6;

/// The tables that a statement changes, each with what is done to it, and else what it reads:
/// `INSERT orders INSERT order_history`, `SELECT orders`, `COMMIT`.
pub(super) fn summary(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let mut said: Vec<String> = Vec::new();
    for window in words.windows(3) {
        let [verb, second, third] = window else {
            continue;
        };
        let verb = verb.trim_start_matches('(');
        let target = match (verb, *second) {
            ("INSERT", "INTO") | ("DELETE", "FROM") => third,
            // A conflict's update is part of an insert, and a lock of a select.
            ("UPDATE", "SET" | "SKIP") => continue,
            ("UPDATE", table) => table,
            _ => continue,
        };
        add(&mut said, verb, target);
    }
    if said.is_empty() {
        // Of a select within a select, what the inner one reads.
        let from = |pair: &&[&str]| pair[0] == "FROM" && !pair[1].starts_with('(');
        let from = words.windows(2).find(from);
        match (words.first(), from) {
            (Some(verb), Some(pair)) => add(&mut said, verb, pair[1]),
            (Some(verb), None) => said.push((*verb).to_owned()),
            (None, _) => {}
        }
    }
    said.truncate(MOST);
    said.join(" ")
}

fn add(said: &mut Vec<String>, verb: &str, target: &str) {
    let table = target.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let one = format!("{verb} {table}");
    if !table.is_empty() && !said.contains(&one) {
        said.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn a_summary_names_what_is_done_to_which_tables() {
        for (sql, wanted) in [
            ("SELECT id FROM orders WHERE id = $1", "SELECT orders"),
            (
                "SELECT total FROM (SELECT count(*) AS total FROM orders) AS counted",
                "SELECT orders",
            ),
            ("SELECT 1", "SELECT"),
            ("COMMIT", "COMMIT"),
            (
                "WITH placed AS (INSERT INTO orders (id) SELECT $1), logged AS (
                 INSERT INTO order_history (order_id) SELECT $1) SELECT count(*) FROM placed",
                "INSERT orders INSERT order_history",
            ),
            (
                "INSERT INTO keys AS known (key) VALUES ($1) ON CONFLICT (key) DO UPDATE SET a = 1",
                "INSERT keys",
            ),
            (
                "SELECT id FROM outbox o LIMIT $1 FOR UPDATE SKIP LOCKED",
                "SELECT outbox",
            ),
        ] {
            assert_eq!(summary(sql), wanted, "{sql}");
        }
    }
}

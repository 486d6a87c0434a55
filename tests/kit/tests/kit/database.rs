use shopflow_testkit::{Database, postgres};

#[tokio::test]
async fn both_kinds_of_database_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    std::fs::write(&file, "").unwrap();
    for url in [
        format!("sqlite:{}", file.display()),
        postgres().await.database().await,
    ] {
        let mut database = Database::open(&url).await;
        database
            .execute("CREATE TABLE t (name TEXT, n INTEGER)")
            .await;
        database
            .execute("INSERT INTO t VALUES ('a', 1), ('b', 2)")
            .await;
        let count = "SELECT count(*) FROM t WHERE name <> ''";
        assert_eq!(database.number(count).await, 2);
        // Another connection sees it too.
        let mut other = Database::open(&url).await;
        let sum = "SELECT coalesce(sum(n), 0) FROM t";
        assert_eq!(other.number(sum).await, 3);
    }
}

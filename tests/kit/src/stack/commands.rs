//! What an operator does at the command line.

use super::{JWT_SECRET, READY, Stack};
use crate::Process;
use std::ffi::OsStr;

impl Stack {
    /// A service token as an operator makes it. An embedded back end must have run once before: it
    /// makes its own secret.
    #[must_use]
    pub fn service_token(&self, subject: &str) -> String {
        let mut command = std::process::Command::new(&self.program);
        command.args(["token", "service", "--subject", subject]);
        match self.data_dir() {
            None => command.env("JWT_SECRET", JWT_SECRET),
            Some(data) => command.arg("--data-dir").arg(data),
        };
        let output = command.output().expect("the program runs");
        assert!(output.status.success(), "no service token: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs a command of the program to its end: exit code and all output, as [`Process::told`] has it.
    pub async fn run<A: AsRef<OsStr>>(
        &self,
        args: &[A],
        env: &[(&str, &str)],
    ) -> (Option<i32>, String) {
        let process = Process::start(&self.program, args, env.iter().copied());
        let status = process.wait_exit(READY).await;
        let status = status.unwrap_or_else(|| panic!("{} does not end", process.pid()));
        (status.code(), process.told())
    }

    /// The same, with a command that works on the database of this stack.
    pub async fn administer(&self, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        let mut env = env.to_vec();
        match self.data_dir() {
            None => env.push(("DATABASE_URL", &self.setup.database_url)),
            Some(data) => args.extend([OsStr::new("--data-dir"), data.as_os_str()]),
        }
        self.run(&args, &env).await
    }

    /// Makes an admin at the command line: exit code and output.
    pub async fn create_admin(&self, email: &str, password: &str) -> (Option<i32>, String) {
        let names = ["--first-name", "Ada", "--last-name", "Admin"];
        let args = [&["users", "create-admin", "--email", email][..], &names].concat();
        self.administer(&args, &[("SHOPFLOW_ADMIN_PASSWORD", password)])
            .await
    }
}

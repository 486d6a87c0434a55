//! A real browser: Debian's Chromium without a window, driven over WebDriver.

use crate::{Client, env, free_port, wait_for, wait_until};
use fantoccini::{ClientBuilder, Locator, elements::Element, wd::Capabilities};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

const BROWSER: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";

/// Long enough for a loaded machine; what is waited for usually takes milliseconds.
const SOON: Duration = Duration::from_secs(30);

/// Nothing but what the test asks for: no calls home, and no use of what a container lacks.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-crash-reporter",
    "--window-size=1280,900",
];

/// The selector of what a page names with `data-testid`.
#[must_use]
pub fn testid(name: &str) -> String {
    format!("[data-testid=\"{name}\"]")
}

/// A browser with one open page, gone when it is dropped and however the test process ends.
///
/// Selectors are those of CSS, see [`testid`]. Pages may change while they are looked at: what is
/// asked for is waited for, and asked again if it was replaced meanwhile. Use a browser only on the
/// runtime of the test that started it.
#[derive(Debug)]
pub struct Browser {
    page: fantoccini::Client,
    /// What Chromium's driver understands beyond the standard.
    extras: Client,
    _driver: Driver,
}

impl Browser {
    /// A browser as most people use it; panics, saying what to install, if there is none.
    pub async fn start() -> Self {
        Self::start_with(&json!({})).await
    }

    /// A browser whose user has switched JavaScript off.
    pub async fn without_javascript() -> Self {
        let name = "profile.managed_default_content_settings.javascript";
        Self::start_with(&json!({ name: 2 })).await
    }

    async fn start_with(preferences: &Value) -> Self {
        for program in [BROWSER, DRIVER] {
            assert!(
                Path::new(program).is_file(),
                "no browser for the tests, since there is no {program}: \
                 apt-get install chromium chromium-driver"
            );
        }
        let driver = Driver::start();
        driver.wait_ready().await;
        let capabilities = capabilities(&driver.folder, preferences);
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver.url)
            .await
            .unwrap_or_else(|error| panic!("Chromium does not start: {error}\n{}", driver.log()));
        let session = page.session_id().await;
        let session = session.ok().flatten().expect("the session has just begun");
        Self {
            page,
            extras: Client::new(format!("{}/session/{session}", driver.url)),
            _driver: driver,
        }
    }

    /// Opens a page and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        let opened = self.page.goto(url).await;
        opened.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// The address of the page.
    pub async fn url(&self) -> String {
        let url = self.page.current_url().await;
        url.unwrap_or_else(|error| panic!("no address: {error}"))
            .into()
    }

    /// The text of the first such element, as far as it can be seen.
    pub async fn text(&self, selector: &str) -> String {
        self.first(selector, async |element| element.text().await.ok())
            .await
    }

    /// Waits until the first such element has a text with `part` in it, and returns the text.
    pub async fn wait_text(&self, selector: &str, part: &str) -> String {
        self.first(selector, async |element| {
            let text = element.text().await.ok()?;
            text.contains(part).then_some(text)
        })
        .await
    }

    /// An attribute of the first such element that has it.
    pub async fn attribute(&self, selector: &str, name: &str) -> String {
        let selector = format!("{selector}[{name}]");
        self.first(&selector, async |element| element.attr(name).await.ok()?)
            .await
    }

    /// How many such elements there are now, seen or not.
    pub async fn count(&self, selector: &str) -> usize {
        let all = self.page.find_all(Locator::Css(selector)).await;
        all.unwrap_or_else(|error| panic!("{selector}: {error}"))
            .len()
    }

    /// How many such elements can be seen now.
    pub async fn count_shown(&self, selector: &str) -> usize {
        let all = self.page.find_all(Locator::Css(selector)).await;
        let mut count = 0;
        for element in all.unwrap_or_else(|error| panic!("{selector}: {error}")) {
            count += usize::from(element.is_displayed().await.unwrap_or(false));
        }
        count
    }

    /// Clicks the first such element; a page that this opens is loaded afterwards.
    pub async fn click(&self, selector: &str) {
        self.first(selector, async |element| element.click().await.ok())
            .await;
    }

    /// Types into the first such field.
    pub async fn write(&self, selector: &str, text: &str) {
        self.first(selector, async |element| element.send_keys(text).await.ok())
            .await;
    }

    /// Chooses what the first such list calls `label`.
    pub async fn choose(&self, selector: &str, label: &str) {
        self.first(selector, async |element| {
            element.select_by_label(label).await.ok()
        })
        .await;
    }

    /// From now on looks into the first such frame.
    pub async fn enter(&self, selector: &str) {
        self.first(selector, async |element| element.enter_frame().await.ok())
            .await;
    }

    /// From now on looks at the page again that has the frame.
    pub async fn leave(&self) {
        let left = self.page.enter_parent_frame().await;
        left.unwrap_or_else(|error| panic!("no page around the frame: {error}"));
    }

    /// What a script returns, run as the test's and not as the page's.
    pub async fn evaluate(&self, script: &str) -> Value {
        let result = self.page.execute(script, Vec::new()).await;
        result.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// What can be seen, as PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        let picture = self.page.screenshot().await;
        picture.unwrap_or_else(|error| panic!("no screenshot: {error}"))
    }

    /// From now on shows pages this wide and high, in CSS pixels.
    pub async fn resize(&self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 0, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", &size)
            .await;
    }

    /// From now on tells pages that the user prefers this: `light` or `dark`.
    pub async fn color_scheme(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        let features = json!({ "features": [feature] });
        self.devtools("Emulation.setEmulatedMedia", &features).await;
    }

    /// The errors that the browser has logged since this was asked last: what a policy forbade,
    /// what could not be loaded, what a script did not catch.
    pub async fn errors(&self) -> Vec<String> {
        let entries = self
            .extra("/se/log", &json!({ "type": "browser" }))
            .await
            .as_array()
            .cloned()
            .unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].to_string()).collect()
    }

    async fn devtools(&self, command: &str, parameters: &Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.extra("/goog/cdp/execute", &body).await;
    }

    async fn extra(&self, path: &str, body: &Value) -> Value {
        let answer = self.extras.post(path, body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        answer.json()["value"].take()
    }

    /// Waits until `look` finds something at the first such element.
    async fn first<T>(&self, selector: &str, look: impl AsyncFn(Element) -> Option<T>) -> T {
        let look = &look;
        wait_for(&format!("{selector} in the page"), SOON, || async move {
            look(self.page.find(Locator::Css(selector)).await.ok()?).await
        })
        .await
    }
}

fn capabilities(folder: &Path, preferences: &Value) -> Capabilities {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let args: Vec<_> = FLAGS.into_iter().chain([profile.as_str()]).collect();
    let options = json!({ "binary": BROWSER, "args": args, "prefs": preferences });
    Capabilities::from_iter([
        ("goog:chromeOptions".to_owned(), options),
        (
            "goog:loggingPrefs".to_owned(),
            json!({ "browser": "WARNING" }),
        ),
    ])
}

/// Runs the driver `$1` on port `$2` with the folder `$3`, until its standard input ends, which
/// only the test process holds open. The driver's Chromium is in the driver's process group.
const GUARD: &str = r#"
    trap '' HUP INT TERM
    setsid "$1" --port="$2" </dev/null >"$3/log" 2>&1 &
    while read -r _; do :; done
    kill -s KILL -- "-$!"
    rm -rf "$3" || { sleep 1; rm -rf "$3"; }
"#;

/// The driver and its browser, in a folder of their own, and the shell that ends and removes them.
#[derive(Debug)]
struct Driver {
    guard: Child,
    folder: PathBuf,
    url: String,
}

impl Driver {
    fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("shopflow-test-")
            .tempdir()
            .expect("a folder can be made");
        let port = free_port();
        let guard = Command::new("/bin/sh")
            .args(["-c", GUARD, "guard", DRIVER, &port.to_string()])
            .arg(folder.path())
            .env_clear()
            .env("PATH", env::path())
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .current_dir("/")
            // A group of its own, out of reach of the signals that end a whole test run.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        Self {
            guard,
            folder: folder.keep(),
            url: format!("http://127.0.0.1:{port}"),
        }
    }

    async fn wait_ready(&self) {
        let client = &Client::new(&self.url);
        wait_until("chromedriver is ready", SOON, || async move {
            let status = client.request(Method::GET, "/status", &[], "").await;
            status.is_ok_and(|answer| answer.status == 200)
        })
        .await;
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

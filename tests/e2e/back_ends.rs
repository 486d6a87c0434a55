//! Which test runs on what.

/// Lists the tests of a file: those that run on both back ends take the one they run on, the others
/// take nothing. Each becomes a test in the module `servers` or `embedded`.
macro_rules! back_ends {
    (
        $(both: $($both:ident),+;)?
        $(servers: $($server:ident),+;)?
        $(embedded: $($embedded:ident),+;)?
    ) => {
        mod servers {
            $($(
                #[tokio::test]
                async fn $both() {
                    Box::pin(super::$both(shopflow_testkit::Backend::Servers)).await;
                }
            )+)?
            $($(
                #[tokio::test]
                async fn $server() {
                    Box::pin(super::$server()).await;
                }
            )+)?
        }

        mod embedded {
            $($(
                #[tokio::test]
                async fn $both() {
                    Box::pin(super::$both(shopflow_testkit::Backend::Embedded)).await;
                }
            )+)?
            $($(
                #[tokio::test]
                async fn $embedded() {
                    Box::pin(super::$embedded()).await;
                }
            )+)?
        }
    };
}

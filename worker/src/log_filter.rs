//! What a worker's log shows.

/// A filter of `tracing-subscriber`, without the SIP stack's own lines: at `info` they are every message whole, credentials too, and there are
/// thousands a second. Who wants them names the stack; traces are the place to read messages.
#[must_use]
pub fn log_filter(asked: &str) -> String {
    const STACK: &str = "rsipstack";
    if asked.contains(STACK) {
        asked.to_owned()
    } else {
        format!("{asked},{STACK}=warn")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_not_in_the_log_unless_the_stack_is_named() {
        assert_eq!(log_filter("debug"), "debug,rsipstack=warn");
        assert_eq!(log_filter("info,rsipstack=debug"), "info,rsipstack=debug");
    }
}

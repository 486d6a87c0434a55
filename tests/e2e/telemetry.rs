//! What operators see from outside: traces, figures, logs, and what is built on them.

mod alerts;
mod figures;
mod logs;
mod secrets;
mod traces;

//! Runnable examples of devopser; each is a file beside this one.

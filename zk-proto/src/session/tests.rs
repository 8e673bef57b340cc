//! Scripts against the machine.

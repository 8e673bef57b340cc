//! Everything that needs no Java: recorded bytes, rules of the house, client and mirror against the in-process server.

#[path = "hermetic/client.rs"]
mod client;
#[path = "hermetic/corpora.rs"]
mod corpora;
#[path = "hermetic/inputs.rs"]
mod inputs;
#[path = "hermetic/mirror.rs"]
mod mirror;
#[path = "hermetic/mutants.rs"]
mod mutants;
#[path = "hermetic/proxy.rs"]
mod proxy;
#[path = "hermetic/recipes.rs"]
mod recipes;
#[cfg(unix)]
#[path = "hermetic/secure_cli.rs"]
mod secure_cli;
#[cfg(unix)]
#[path = "hermetic/serve.rs"]
mod serve;
#[path = "hermetic/stage.rs"]
mod stage;
#[path = "hermetic/tidy.rs"]
mod tidy;
#[path = "hermetic/vectors.rs"]
mod vectors;
#[path = "hermetic/watches.rs"]
mod watches;
#[path = "hermetic/words.rs"]
mod words;

//! What the fake authorization server answers, accepts and refuses.

mod signed;
mod wire;

mod answers;
mod assertions;
mod devices;
mod faults;
mod logins;
mod proofs_of_possession;
mod tokens;

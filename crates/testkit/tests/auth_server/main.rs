//! What the fake authorization server answers, accepts and refuses.

mod signed;
mod wire;

mod answers;
mod assertions;
mod clients;
mod devices;
mod faults;
mod logins;
mod proofs_of_possession;
mod signing;
mod strictness;
mod tokens;

//! Gates, scripted providers and faulty storages.

mod faulty_storage;
mod gate;
mod scripted_provider;

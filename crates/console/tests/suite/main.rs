//! Pages of a real service.

mod damaged;
mod dead_letters;
mod events;
mod hostile;
mod pending;
mod rules;
mod served;
mod silences;

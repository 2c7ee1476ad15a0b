//! What other systems left: read from their files, made into the nouns, ready for the store. Nothing here writes to it.

pub mod devilry;

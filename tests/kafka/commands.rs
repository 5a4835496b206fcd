//! Commands and the service, on a real broker: what each says when something is wrong.

"""What tests share: servers, builders, oracles and fault injection."""

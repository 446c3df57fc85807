"""The buffer and extraction core of a shard: a pure state machine, events in, actions out."""

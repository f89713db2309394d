"""Processes that `endcap bench throughput` times: each reads one JSON object from its arguments and
prints one, `{"events", "seconds", "cpu_s"}`, when it has worked through the topic."""

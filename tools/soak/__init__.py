"""`make soak`: streams, queues, live sources, failing devices and reloads for a long time, watched from outside."""

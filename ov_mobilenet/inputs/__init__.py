"""Where images come from: files, lists, tar shards, videos, cameras and streams."""

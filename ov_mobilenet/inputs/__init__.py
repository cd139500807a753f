"""Sources of images: files, lists, tar shards, videos, cameras and network streams."""

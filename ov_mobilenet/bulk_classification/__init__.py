"""Classify many images on one machine or on a Ray cluster, into Parquet parts."""

"""Classify many images on one machine or on a Ray cluster, into Parquet parts.

Where to look, in the order of a run (`bulk.py`; before anything is compiled: `preparation.py`):

- inputs: `found_inputs.py` cuts what `input_files.py` finds into shards (`shards.py`), which stand in `shard_list.py`;
  `shard_items.py` reads the images of a shard. `remote_*.py` are for buckets, `parquet_*.py` for Parquet inputs.
- engines: `run_here.py` on this machine; `ray_*.py` on a cluster (`ray_run.py` first), to which
  `model_package.py` carries the model. Both give their parts to `run_loop.py`.
- output: `parts.py` writes the part of a shard to a store (`stores.py`: a folder; `bucket_store.py`), `manifest.py`
  records it; `output_state.py` knows which parts are there, by `found_parts.py`, and refuses what
  `output_differences.py` finds.
"""

"""Test files that `make test-fast` leaves out.

`conftest.py` gives their tests the marker `slow`. Each file takes more than about 3 s on one core. Every room keeps
test files that are not listed here; `test_architecture.py` checks that.
"""

from __future__ import annotations

SLOW_FILES = (
    "attacks/test_hostile_archives.py",
    "attacks/test_network_attacks.py",
    "attacks/test_process_attacks.py",
    "benchmarking/test_html_report.py",
    "cli/test_benchmark.py",
    "cli/test_command_line.py",
    "cli/test_inputs.py",
    "cli/test_many_models.py",
    "cli/test_model_optimizer.py",
    "cli/test_own_network.py",
    "cli/test_standard_streams.py",
    "conversion/test_architectures.py",
    "conversion/test_checkpoints.py",
    "conversion/test_complexity.py",
    "conversion/test_fine_tuned.py",
    "conversion/test_forms.py",
    "conversion/test_pytorch_source.py",
    "demos/test_benchmark_demo.py",
    "demos/test_classification_demo.py",
    "demos/test_edge_demo.py",
    "demos/test_overlay.py",
    "demos/test_quickstart.py",
    "downloads/test_archive.py",
    "images/test_load_image.py",
    "inputs/test_folders.py",
    "inputs/test_shards.py",
    "interop/test_open_model_zoo_wrapper.py",
    "interop/test_openvino_tools.py",
    "outputs/test_killed_runs.py",
    "outputs/test_shared_files.py",
    "quantization/test_accuracy_control.py",
    "quantization/test_calibration.py",
    "quantization/test_quantize.py",
    "runtime/test_stress.py",
    "test_parameters.py",
    "test_readme.py",
    "test_sample_model.py",
    "tuning/test_tune.py",
    "typed/test_user_program.py",
    "zoo/test_description_attacks.py",
    "zoo/test_shipped_models.py",
)

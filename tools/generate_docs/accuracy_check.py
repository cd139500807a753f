"""The options of the Open Model Zoo's `accuracy_check`, and what stands for each in `ov-mobilenet accuracy`.

Read from `argparser.py` of `tools/accuracy_checker` in the Open Model Zoo's repository, 2022.
Our command does not take these spellings: it has no configuration file, which is what most of them are about.
"""

from __future__ import annotations

from collections.abc import Mapping

NONE = ""
# By the spellings: the option of ours (or NONE), and a remark.
ACCURACY_CHECK: Mapping[tuple[str, ...], tuple[str, str]] = {
    ("-c", "--config"): (NONE, "the MODEL; its accuracy-check.yml gives crop, resize and reference"),
    ("-d", "--definitions"): (NONE, "not needed: the protocol is in the description of the model"),
    ("-m", "--models"): ("--ir-dir", "or the path of the IR as MODEL"),
    ("-s", "--source"): ("--dataset", "the folder of the images"),
    ("-a", "--annotations"): (
        "--annotations",
        "a text or CSV file with the class of each image, in place of a folder of converted annotations",
    ),
    ("--model_attributes",): ("--labels", "class names; a classifier has no other attributes"),
    ("--input_precision",): (NONE, "fixed when the IR is made: `convert --input-type`"),
    ("--layout",): (NONE, "read from the IR; `convert --layout` sets it"),
    ("-tf", "--target_framework"): (NONE, "OpenVINO; `compare MODEL@source` runs the source framework"),
    ("-td", "--target_devices"): ("--device", "one device; `MULTI:` and `HETERO:` for several"),
    ("-tt", "--target_tags"): (NONE, "the tags FP32 and FP16: give the path of that IR as MODEL"),
    ("-tb", "--target_backends"): (NONE, "OpenVINO is the only one"),
    ("-ss", "--subsample_size"): ("--sample", "a number of images, no percentage; `--limit` takes the first ones"),
    ("--shuffle",): ("--seed", "`--sample` is random, `--limit` is not"),
    ("--store_subset",): ("--seed", "the same seed selects the same images"),
    ("--subset_file",): ("--annotations", "a list with only the wanted images"),
    ("--profile",): ("--per-class", "the figures of each class; the time of a metric is not measured"),
    ("--profiler_logs_dir",): ("--predictions", "the classes of each image, in one file"),
    ("--profile_report_type",): ("--predictions", "the suffix decides: .jsonl or .csv"),
    ("--progress",): (NONE, "a bar on a terminal, otherwise a line every ten seconds"),
    ("--progress_interval",): (NONE, "ten seconds"),
    ("--ignore_result_formatting",): ("--format", "json has the unrounded figures"),
    ("--ignore_metric_reference",): ("--reference", "nothing is compared unless it is given"),
    ("--stored_predictions",): ("--predictions", "with `--resume` they are read again"),
    ("--csv_result",): ("--format", "csv, on stdout"),
    ("--intermediate_metrics_results",): ("--predictions", "written image by image"),
    ("--metrics_interval",): (NONE, "the file of `--predictions` is complete at any time"),
    ("--store_only",): ("--predictions", "the metrics are printed as well"),
    ("-l", "--log_file"): ("--verbose", "messages are on stderr: `2> FILE`"),
    ("-e", "--extensions"): (NONE, "MobileNets need no extensions"),
    ("--cpu_extensions_mode",): (NONE, "MobileNets need no extensions"),
    ("-dc", "--device_config"): ("--property", "one `KEY=VALUE` each"),
    ("--ie_preprocessing",): (NONE, "normalisation is in the IR; `convert --bake-geometry` adds crop and resize"),
    ("--model_is_blob",): (NONE, "compiled models cannot be read; `--model-cache` keeps them"),
    ("--model_type",): (NONE, "the suffix of MODEL decides"),
    ("-am", "--affinity_map"): (NONE, "no counterpart"),
    ("--vpu_log_level",): (NONE, "these devices are no longer part of OpenVINO"),
    ("--async_mode",): (NONE, "always"),
    ("--num_requests",): ("--nireq", "the number of infer requests"),
    ("--kaldi_bin_dir",): (NONE, "Kaldi networks are not supported"),
    ("--kaldi_log_file",): (NONE, "Kaldi networks are not supported"),
    ("--undefined_shapes_resolving_policy",): (NONE, "fixed when the IR is made: `convert --batch`, `--input-shape`"),
    ("--use_new_api",): (NONE, "always"),
    ("--version",): (NONE, "`ov-mobilenet --version`"),
}

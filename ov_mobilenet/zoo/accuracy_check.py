"""The content of an `accuracy-check.yml` as frozen values.

The schema is the part of the Open Model Zoo accuracy checker's schema that classification uses. Settings that only
the accuracy checker itself needs (devices, paths) are accepted and ignored.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Size = Annotated[int, Meta(ge=1, le=8192)]
ChannelValues = float | str | tuple[float, ...]


class ResizeStep(Struct, frozen=True, kw_only=True, tag_field="type", tag="resize", forbid_unknown_fields=True):
    """Resize to `size` x `size` or `dst_height` x `dst_width`; `greater` keeps the aspect ratio."""

    size: Size | None = None
    dst_width: Size | None = None
    dst_height: Size | None = None
    aspect_ratio_scale: Literal["greater"] | None = None
    use_pillow: bool = False
    interpolation: Literal["LINEAR", "BILINEAR", "CUBIC", "BICUBIC"] = "LINEAR"


class CropStep(Struct, frozen=True, kw_only=True, tag_field="type", tag="crop", forbid_unknown_fields=True):
    """Crop the centre: a size in pixels, or a fraction of height and width."""

    size: Size | None = None
    dst_width: Size | None = None
    dst_height: Size | None = None
    central_fraction: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    use_pillow: bool = False


class NormalizationStep(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="normalization", forbid_unknown_fields=True
):
    """(x - mean) / std; mean and std are one number or three."""

    mean: ChannelValues | None = None
    std: ChannelValues | None = None


class BgrToRgb(Struct, frozen=True, tag_field="type", tag="bgr_to_rgb", forbid_unknown_fields=True):
    """Swap the first and the last channel."""


class RgbToBgr(Struct, frozen=True, tag_field="type", tag="rgb_to_bgr", forbid_unknown_fields=True):
    """Swap the first and the last channel."""


PreprocessingStep = ResizeStep | CropStep | NormalizationStep | BgrToRgb | RgbToBgr


class LauncherInput(Struct, frozen=True, forbid_unknown_fields=True):
    """An input of a launcher."""

    name: str
    type: str = "INPUT"
    shape: str | tuple[int, ...] | None = None
    layout: str | None = None
    precision: str | None = None


class Adapter(Struct, frozen=True, forbid_unknown_fields=True):
    """How the output is interpreted; only `classification` is supported."""

    type: Literal["classification"]
    argmax_output: bool = False
    block: bool = False
    classification_output: str | None = None


class Launcher(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The framework that runs the network; `openvino` (`dlsdk` in old files) means the converted model."""

    framework: str
    adapter: Literal["classification"] | Adapter | None = None
    model: str | None = None
    weights: str | None = None
    saved_model_dir: str | None = None
    inputs: tuple[LauncherInput, ...] = ()
    outputs: tuple[str, ...] = ()
    device: str | None = None
    batch: Annotated[int, Meta(ge=1)] | None = None


class Metric(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A metric, and its reference value as a fraction in [0, 1]."""

    type: str
    name: str | None = None
    top_k: Annotated[int, Meta(ge=1)] | None = None
    presenter: str | None = None
    reference: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None


class AnnotationConversion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The source of the accuracy checker's annotations."""

    converter: str
    annotation_file: str | None = None
    labels_file: str | None = None
    has_background: bool = False


class DatasetConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How images are read and preprocessed, and the metrics.

    Attributes:
        name, reader, data_source, annotation, dataset_meta, annotation_conversion: as in `accuracy-check.yml`.
        subsample_size, preprocessing, metrics: as in `accuracy-check.yml`.
    """

    name: str
    reader: Literal["opencv_imread", "pillow_imread"] = "opencv_imread"
    data_source: str | None = None
    annotation: str | None = None
    dataset_meta: str | None = None
    annotation_conversion: AnnotationConversion | None = None
    subsample_size: int | str | None = None
    preprocessing: tuple[PreprocessingStep, ...] = ()
    metrics: tuple[Metric, ...] = ()


class CheckedModel(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the file: the source network or the converted model."""

    name: str
    launchers: tuple[Launcher, ...]
    datasets: tuple[DatasetConfig, ...]


class AccuracyCheck(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of an `accuracy-check.yml`."""

    models: tuple[CheckedModel, ...]

    @property
    def converted(self) -> DatasetConfig | None:
        """The first dataset of the converted model's entry; None without one."""
        return self._dataset(openvino=True)

    @property
    def source(self) -> DatasetConfig | None:
        """The first dataset of the source network's entry; None without one."""
        return self._dataset(openvino=False)

    def _dataset(self, *, openvino: bool) -> DatasetConfig | None:
        for model in self.models:
            for launcher in model.launchers:
                if (launcher.framework in ("openvino", "dlsdk")) == openvino and model.datasets:
                    return model.datasets[0]
        return None

    def reference(self, top_k: int) -> float | None:
        """The reference top-k accuracy of the converted model as a fraction in [0, 1]; None without one."""
        metrics = self.converted.metrics if self.converted else ()
        return next((m.reference for m in metrics if m.type == "accuracy" and (m.top_k or 1) == top_k), None)

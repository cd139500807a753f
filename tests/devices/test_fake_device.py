"""The simulated device, which the tests of the queue rely on."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from compile_for_tests import on_fakes
from fake_device import Behaviour, FakeCore


def test_the_fake_fails_hangs_and_returns_nan_as_configured() -> None:
    core = FakeCore(behaviour=Behaviour(dies_after=3, hangs={0}, nan={1}))
    model = on_fakes("GPU", core=core).model
    frame = ov.Tensor(np.full((1, 3, 8, 8), 5, np.float32))
    hanging, request = model.create_infer_request(), model.create_infer_request()
    hanging.start_async()
    assert not hanging.wait_for(1)
    request.set_input_tensor(frame)
    request.infer()
    assert np.isnan(request.get_output_tensor(0).data).all()
    request.infer()
    assert request.get_output_tensor(0).data.argmax() == 5
    with pytest.raises(RuntimeError, match="device lost"):
        request.infer()
    hanging.cancel()
    with pytest.raises(RuntimeError, match="canceled"):
        hanging.wait()
    assert (model.tally.started, model.tally.running, model.tally.cancelled) == (4, 0, 1)

from __future__ import annotations

import http.client
import json
from pathlib import Path

from ov_mobilenet import Classifier
from ov_mobilenet.serving.server import Server


def test_live(server: Server, signs_classifier: Classifier, sign_files: list[Path]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/v2/health/live")
    response = connection.getresponse()
    assert json.loads(response.read()) == {"live": True}
    connection.close()
    assert len({signs_classifier.classify(file).best.label for file in sign_files}) > 3

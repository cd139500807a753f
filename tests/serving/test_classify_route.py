from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from serving.raw_http import exchange, raw_client, request

from ov_mobilenet import Classifier
from ov_mobilenet.serving.rest import multipart_files
from ov_mobilenet.serving.server import Server


def expected(classifier: Classifier, source: str, file: Path, top_k: int = 5) -> dict[str, Any]:
    """What `classify` says, without its times."""
    document = classifier.classify(file.read_bytes(), top_k=top_k).to_dict()
    return {"source": source, "predictions": document["predictions"]}


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    """The same of a response, whose times are checked here."""
    times = document["timings_ms"]
    assert list(times) == ["decode", "geometry", "queue", "inference", "total"]
    assert all(isinstance(one, float | int) and one >= 0 for one in times.values())
    assert times["total"] >= times["inference"] > 0
    return {key: value for key, value in document.items() if key != "timings_ms"}


def url(server: Server, query: str = "") -> str:
    return f"{server.url}/v1/classify{query}"


def test_an_image_as_the_body_is_a_line_of_classify(
    server: Server, signs_classifier: Classifier, sign_files: list[Path]
) -> None:
    for file in sign_files:
        answer = requests.post(url(server), file.read_bytes(), timeout=60)
        assert answer.status_code == 200
        assert list(answer.json()) == ["source", "predictions", "timings_ms"]
        assert without_times(answer.json()) == expected(signs_classifier, "image", file)


@pytest.mark.parametrize(
    "content_type", ["image/jpeg", "image/png", "application/octet-stream", "application/x-www-form-urlencoded", ""]
)
def test_the_type_of_the_body_is_found_in_the_body(server: Server, sign_files: list[Path], content_type: str) -> None:
    answer = requests.post(
        url(server), sign_files[0].read_bytes(), timeout=60,
        headers={
            "Content-Type": content_type,
            "Content-Disposition": 'attachment; filename="../../\u00fc sign.png"'.encode(),
        },
    )  # fmt: skip
    assert answer.status_code == 200
    assert answer.json()["source"] == "../../\u00fc sign.png"


def test_files_of_a_form(server: Server, signs_classifier: Classifier, sign_files: list[Path]) -> None:
    names = ["../../etc/passwd", 'quote".png', "\u732b.png", "", *(f"{n}.png" for n in range(len(sign_files) - 4))]
    form = [("any", (name, file.read_bytes())) for name, file in zip(names, sign_files, strict=True)]
    answer = requests.post(url(server, "?top_k=2"), files=form, timeout=60)
    assert answer.status_code == 200
    document = answer.json()
    assert document["schema_version"] == 1
    sources = [one["source"] for one in document["results"]]
    assert sources[0] == "../../etc/passwd"
    assert sources[2:4] == ["\u732b.png", "image"]
    assert [without_times(one) for one in document["results"]] == [
        expected(signs_classifier, source, file, 2) for source, file in zip(sources, sign_files, strict=True)
    ]


def test_broken_files_of_a_form_do_not_stop_the_others(server: Server, sign_files: list[Path]) -> None:
    good = sign_files[0].read_bytes()
    form = [("a", ("a", b"junk")), ("b", ("b", good)), ("c", ("c", good[: len(good) // 2])), ("d", ("d", b""))]
    answer = requests.post(url(server), files=form, timeout=60)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [list(one) for one in results] == [
        ["source", "error"], ["source", "predictions", "timings_ms"], ["source", "error"], ["source", "error"]
    ]  # fmt: skip
    assert [one["source"] for one in results] == ["a", "b", "c", "d"]
    assert "not an image" in results[0]["error"]


def test_a_form_of_broken_files_is_an_error(server: Server) -> None:
    answer = requests.post(url(server), files=[("a", ("a", b"junk")), ("b", ("b", b"junk"))], timeout=60)
    assert answer.status_code == 422
    assert "not an image" in answer.json()["error"]
    assert [one["source"] for one in answer.json()["results"]] == ["a", "b"]


@pytest.mark.parametrize("data", [b"junk", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + b"\0" * 50, b"GIF89a"])
def test_a_broken_image_has_the_message_of_classify(server: Server, signs_classifier: Classifier, data: bytes) -> None:
    answer = exchange(server.port, request("POST", "/v1/classify", body=data))
    assert answer.status == 422
    with pytest.raises(Exception, match="image") as caught:
        signs_classifier.classify(data)
    assert answer.error == str(caught.value)


@pytest.mark.parametrize("top_k", [1, 3, 16])
def test_top_k(server: Server, signs_classifier: Classifier, sign_files: list[Path], top_k: int) -> None:
    answer = requests.post(url(server, f"?top_k={top_k}"), sign_files[1].read_bytes(), timeout=60)
    assert without_times(answer.json()) == expected(signs_classifier, "image", sign_files[1], top_k)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("?top_k=0", 400, "1 to 16"), ("?top_k=17", 400, "1 to 16"), ("?top_k=-1", 400, "1 to 16"),
        ("?top_k=many", 400, "many"), ("?top_k=", 400, "nothing"), ("?top_k=1.5", 400, "1.5"),
        ("?top_k=%D9%A3", 400, "1 to 16"), ("?top_k=" + "9" * 5000, 400, "1 to 16"), ("?top_k=1&top_k=2", 400, "twice"),
        ("?topk=3", 400, "topk"), ("?a=1&b=2&c=3&d=4", 400, "too many"),
        ("?model=other", 404, "other"), ("?model=", 404, "unknown model"), ("?version=2", 404, "version"),
    ],
)  # fmt: skip
def test_invalid_parameters(server: Server, sign_files: list[Path], query: str, status: int, words: str) -> None:
    data = request("POST", f"/v1/classify{query}", body=sign_files[0].read_bytes())
    answer = exchange(server.port, data)
    assert answer.status == status
    assert words in answer.error
    assert not answer.error.startswith(":")
    assert len(answer.error) < 400


def test_the_model_can_be_named(server: Server, sign_files: list[Path]) -> None:
    answer = requests.post(url(server, "?model=signs&version=1&top_k=1"), sign_files[0].read_bytes(), timeout=60)
    assert len(answer.json()["predictions"]) == 1


def form(*parts: bytes, boundary: bytes = b"frontier", end: bytes = b"--") -> bytes:
    """A form by hand."""
    lines = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + end + b"\r\n"
    return request(
        "POST", "/v1/classify", f"Content-Type: multipart/form-data; boundary={boundary.decode()}", body=lines
    )  # fmt: skip


FILE = b'Content-Disposition: form-data; name="a"; filename="a"\r\n\r\njunk'


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (request("POST", "/v1/classify", body=b""), 400, "empty"),
        (request("POST", "/v1/classify"), 400, "empty"),
        (request("POST", "/v1/classify", "Content-Type: application/json", body=b"{}"), 415, "JSON"),
        (request("POST", "/v1/classify", "Content-Type: Application/JSON; charset=x", body=b"{}"), 415, "JSON"),
        (request("POST", "/v1/classify", "Content-Encoding: gzip", body=b"x"), 415, "gzip"),
        (request("POST", "/v1/classify", "Content-Encoding: br", body=b"x"), 415, "br"),
        (request("POST", "/v1/classify", "Content-Type: multipart/form-data", body=b"x"), 400, "boundary"),
        (form(boundary=b"x" * 300), 400, "broken"),
        (form(), 400, "form"),
        (form(FILE, end=b""), 400, "incomplete"),
        (form(b"no header"), 400, "broken"),
        (form(b"Content-Disposition: form-data\r\n\r\nx"), 400, "not a file"),
        (form(b'Content-Disposition: form-data; name="top_k"\r\n\r\n3'), 400, "?top_k=3"),
        (form(FILE, b"\r\n\r\njunk"), 400, "not a file"),
        (form(b"X: 1\r\n" * 20 + FILE), 400, "broken"),
        (form(b"X: " + b"x" * 10_000 + b"\r\n" + FILE), 400, "broken"),
        (form(*[FILE] * 65), 400, "at most 64"),
    ],
)
def test_invalid_bodies(server: Server, data: bytes, status: int, words: str) -> None:
    answer = exchange(server.port, data)
    assert answer.status == status
    assert words in answer.error


@pytest.mark.parametrize("header", ["Content-Type: multipart/form-data", "Content-Disposition: attachment"])
def test_a_header_of_many_options_is_not_split(server: Server, header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 KB took 90 ms in the event loop."""
    split: list[str] = []
    monkeypatch.setattr(multipart_files, "parse_options_header", split.append)
    answer = exchange(server.port, request("POST", "/v1/classify", header + ";" * 60_000, body=b"junk"))
    assert answer.status in (400, 422)
    assert not split


def test_a_multipart_bomb_of_tiny_parts_ends_at_the_limit(server: Server) -> None:
    with raw_client(server.port) as client:
        client.send(form(*[FILE] * 20_000))
        assert client.response().status == 400


def test_nothing_is_read_from_or_written_to_a_disk(
    server: Server, sign_files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    big = sign_files[0].read_bytes() + b"\0" * 3_000_000
    answer = requests.post(url(server), files=[("a", (str(sign_files[0]), big))], timeout=60)
    assert answer.status_code == 200
    answer = requests.post(url(server), str(sign_files[0]).encode(), timeout=60)
    assert answer.status_code == 422
    assert json.loads(answer.text)["error"].startswith("not an image")

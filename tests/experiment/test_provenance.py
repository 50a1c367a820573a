"""What is written down of the machine that a search runs on."""

from pathlib import Path

from hpsearch.experiment.provenance import gpus_of, machine


def test_a_machine_names_its_cores_and_memory() -> None:
    found = machine()
    assert {"host", "system", "cores", "memory"} <= found.keys()
    assert found["memory"] > 2**28
    assert all(found.values())


def test_gpus_are_named_as_their_driver_names_them(tmp_path: Path) -> None:
    for bus, name in (("0000:01:00.0", "NVIDIA H100 80GB HBM3"), ("0000:02:00.0", "NVIDIA L4")):
        (tmp_path / bus).mkdir()
        (tmp_path / bus / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 42\nVideo BIOS: \t 96.00\n")
    (tmp_path / "broken").mkdir()
    assert gpus_of(tmp_path) == ["NVIDIA H100 80GB HBM3", "NVIDIA L4"]
    assert gpus_of(tmp_path / "no driver") == []

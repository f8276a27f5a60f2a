import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("allocator", "gpu_backend", "scenarios", "sim", "traces")
NOT_SHIPPED = {".md", ".pyc"}
NOT_SOURCE = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "demo-out")


def project_version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def copy_of_the_tree(folder: Path) -> Path:
    return Path(shutil.copytree(ROOT, folder, symlinks=True, ignore=NOT_SOURCE))


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build from a copy, so that the tree stays clean and no old build/ gets in."""
    scratch = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(scratch)]
    tree = copy_of_the_tree(scratch / "tree")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    built = subprocess.run(  # noqa: S603 - the command is spelled out above
        build, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = scratch.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize("name", [*PACKAGES, "cli"])
def test_import_name_resolves_inside_the_project(name: str) -> None:
    found = importlib.util.find_spec(name)
    assert found is not None, f"{name} cannot be imported"
    assert found.origin is not None, f"{name} has no source file"
    assert Path(found.origin).is_relative_to(ROOT)


def test_no_top_level_name_shadows_the_standard_library() -> None:
    modules = {path.stem for path in ROOT.glob("*.py")}
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    assert not (modules | folders) & sys.stdlib_module_names


@pytest.mark.xdist_group("wheel")
def test_wheel_holds_the_packages_and_nothing_else(wheel_files: list[str]) -> None:
    metadata = f"twinpool-{project_version()}.dist-info"
    tops = {PurePosixPath(name).parts[0] for name in wheel_files}
    assert tops == {*PACKAGES, "cli.py", metadata}


@pytest.mark.xdist_group("wheel")
@pytest.mark.parametrize("package", PACKAGES)
def test_wheel_holds_every_file_but_notes(wheel_files: list[str], package: str) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / package).rglob("[!.]*")
        if path.is_file() and path.suffix not in NOT_SHIPPED
    }
    assert wanted - set(wheel_files) == set()


@pytest.mark.xdist_group("wheel")
def test_wheel_holds_the_licence(wheel_files: list[str]) -> None:
    assert f"twinpool-{project_version()}.dist-info/licenses/LICENSE" in wheel_files


def test_every_package_says_that_it_is_typed() -> None:
    assert {path.parent.name for path in ROOT.glob("*/py.typed")} >= set(PACKAGES)


def test_changelog_opens_with_the_version_of_the_project() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == project_version()

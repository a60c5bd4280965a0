"""JupyterLab in a real browser: every notebook runs, and its explorer answers when it is moved."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import LAUNCH, needs_chromium
from small_company import ROOT, shared_company

MINUTE = 60_000
NOTEBOOKS = sorted(path.stem for path in ROOT.glob("notebooks/*.ipynb"))
NO_NEWS = '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}'

pytestmark = [pytest.mark.slow, needs_chromium]

READY = "() => window.jupyterapp && document.querySelector('.jp-LauncherCard, .jp-DirListing')"
OPEN = """async path => {
    const app = window.jupyterapp
    const panel = await app.commands.execute('docmanager:open', {path, factory: 'Notebook'})
    await panel.context.ready
    await panel.sessionContext.ready
}"""
RUN = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
OUTPUTS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells].flatMap(
    cell => cell.type === 'code' ? cell.outputs.toJSON() : [])"""
END = "() => window.jupyterapp.serviceManager.sessions.shutdownAll()"
IDS = "() => [...document.querySelectorAll('.cj-result, .cj-result [id]')].map(one => one.id)"
MOVED = """([explorer, before]) =>
    !explorer.querySelector('.cj-waiting') && explorer.querySelector('.cj-result, [role=alert]')
    && explorer.querySelector('.cj-result, [role=alert]').outerHTML !== before"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A tab of JupyterLab over the notebooks and the small company, and all that it asked for."""
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / "data").mkdir()
    (folder / "data" / "sample").symlink_to(shared_company(tmp_path_factory).folder)
    own = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "IPYTHONDIR")}
    own |= {"JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "JUPYTER_DATA_DIR": str(folder / "own")}
    (folder / "jupyter_config_dir" / "labconfig").mkdir(parents=True)
    (folder / "jupyter_config_dir" / "labconfig" / "page_config.json").write_text(NO_NEWS)
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--expose-app-in-browser", "--ServerApp.port=0", "--IdentityProvider.token="),
            f"--ServerApp.root_dir={folder}",
        ],
        env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(**LAUNCH)
            context = browser.new_context(viewport={"width": 1400, "height": 1000})
            context.set_default_timeout(2 * MINUTE)
            tab = context.new_page()
            asked: list[str] = []
            tab.on("request", lambda request: asked.append(request.url))
            address = find_address(folder / "runtime", server)
            tab.goto(f"{address}lab/tree/notebooks")
            tab.wait_for_function(READY)
            yield tab, asked, address
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=30)


def find_address(runtime: Path, server: subprocess.Popen) -> str:
    """Return where the server listens, as soon as it does: it says so a little before."""
    for _ in range(600):
        assert server.poll() is None
        time.sleep(0.1)
        for found in runtime.glob("jpserver-*.json"):
            told = json.loads(found.read_text(encoding="utf-8"))
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("localhost", told["port"])),
            ):
                return told["url"]
    raise AssertionError("JupyterLab did not start within a minute")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_its_explorer_answers(lab, name):
    tab, asked, address = lab
    tab.evaluate(OPEN, f"notebooks/{name}.ipynb")
    ran = tab.evaluate(RUN)
    outputs = tab.evaluate(OUTPUTS)
    for output in outputs:
        assert output["output_type"] != "error", output
        assert output.get("name") != "stderr", output["text"]
    assert ran and outputs, outputs
    explorers = tab.locator(".jp-NotebookPanel:visible .widget-vbox").all()
    assert explorers
    for explorer in explorers:
        explorer.scroll_into_view_if_needed()
        call = explorer.locator("code").first
        result = explorer.locator(".cj-result, [role=alert]")
        before, written = result.evaluate("one => one.outerHTML"), call.text_content()
        slider = explorer.locator(".noUi-handle")
        if slider.count():
            slider.first.press("ArrowLeft")
        else:
            explorer.locator("select").first.select_option(index=1)
        tab.wait_for_function(MOVED, arg=[explorer.element_handle(), before])
        assert call.text_content() != written
        assert explorer.locator("[role=alert]").count() == 0, result.text_content()
    ids = tab.evaluate(IDS)
    assert len(ids) == len(set(ids))
    tab.evaluate(END)
    assert tab.locator(".jp-Dialog, .jp-toast").count() == 0
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert [url for url in asked if "/api/news" in url or "/api/update" in url] == []

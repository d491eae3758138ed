"""grpc-js of npm, unmodified, with our proto file loaded at run time: what the admin UI is.

The packages are installed on first use, below $JOBLET_CACHE, from the registry that npm is set up
for. A session runs with the network of the container and everything else of the host.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.bridge.authority import Pair
from tests.container.served import CHECKOUT, PORT, Served
from tests.grounds.cache import NoGround, cached, demand

PACKAGES = ("@grpc/grpc-js@1.14.7", "@grpc/proto-loader@0.8.1")
PROTO = CHECKOUT / "service/joblet/rpc/proto/joblet.proto"
DEADLINE_S = 120


def installed() -> Path:
    """The folder that node finds the packages from. Raises NoGround."""
    demand("node", "npm")
    return cached("node", PACKAGES, _install)


def session(served: Served, program: str, pair: Pair) -> Any:
    """Run a program with `call` and `stream` of a client; what it puts into `result`."""
    who = {
        "address": f"127.0.0.1:{PORT}",
        "ca": served.authority.pem.decode(),
        "cert": pair.certificate.decode(),
        "key": pair.key.decode(),
        "proto": str(PROTO),
    }
    done = subprocess.run(
        [
            *("nsenter", f"--target={served.machine.leader}", "--net", "--"),
            *("node", "-e", _FRAME.replace("/* program */", program), json.dumps(who)),
        ],
        cwd=installed(),
        env=os.environ | {"NODE_OPTIONS": "--unhandled-rejections=strict"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _install(folder: Path) -> None:
    folder.mkdir()
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"]
    done = subprocess.run(
        [*command, f"--prefix={folder}", *PACKAGES], cwd=folder, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise NoGround(f"npm ended with {done.returncode}:\n{done.stdout}{done.stderr}")


# Options of the loader and of the channel are those of the admin UI.
_FRAME = """
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const who = JSON.parse(process.argv[1]);
const joblet = grpc.loadPackageDefinition(loader.loadSync(who.proto, {
  keepCase: true, longs: String, enums: String, defaults: true, oneofs: true,
})).joblet;
const credentials = grpc.credentials.createSsl(
  Buffer.from(who.ca), Buffer.from(who.key), Buffer.from(who.cert));
const options = {
  "grpc.ssl_target_name_override": "joblet",
  "grpc.keepalive_time_ms": 30000,
  "grpc.keepalive_timeout_ms": 5000,
  "grpc.keepalive_permit_without_calls": 1,
};
const clients = {};
const client = (service) =>
  clients[service] ??= new joblet[service](who.address, credentials, options);
const call = (service, method, request = {}) => new Promise((resolve, reject) =>
  client(service)[method](request, { deadline: Date.now() + 30000 },
    (error, answer) => error ? reject(error) : resolve(answer)));
const stream = (service, method, request = {}) => client(service)[method](request);
const all = (service, method, request = {}) => new Promise((resolve, reject) => {
  const found = [];
  stream(service, method, request)
    .on("data", (one) => found.push(one)).on("error", reject).on("end", () => resolve(found));
});
const refused = (promise) => promise.then(() => "OK", (error) => grpc.status[error.code]);
(async () => {
  const result = {};
  /* program */
  console.log(JSON.stringify(result));
  for (const one of Object.values(clients)) one.close();
})();
"""

#!/usr/bin/env bash
# Kills pipelines at random moments, by SIGKILL, SIGTERM and (as root) a full disk, and compares what they end with to a run
# that nobody killed: 200 times, or as often as the argument says; besides a tenth as many pipelines on latents, and half as
# many preparations of latents as of these. It prints the seed of the moments; TRANSCEND_KILL_SEED=SEED gives them again.
set -euo pipefail
cd "$(dirname "$0")/../.."

TRANSCEND_KILLS="${1:-200}" make test FILTER=KillTests

"""The result of bench/compare as a picture: for each work our time over each peer's, with the target as a line.

usage: draw.py compare.json OUT.svg
"""
import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

result = json.load(open(sys.argv[1]))
rows = [r for r in result["rows"] if r["ours_ms"]]
machine = result["machine"]
figure, (times, shares) = plt.subplots(1, 2, figsize=(13, 1.5 + 0.45 * len(rows)), sharey=True, width_ratios=[3, 1])
peers = sorted({p for r in rows for p in r["others_ms"]})
colours = dict(zip(peers, plt.get_cmap("tab10").colors))
for y, row in enumerate(rows):
    for peer, ms in row["others_ms"].items():
        times.plot(ms / row["ours_ms"], y, "o", color=colours[peer])
    times.barh(y, 1, color="0.85", zorder=0)
    if row["target"].startswith("<=") and row["peer_ms"]:
        # The time at which the target would hold, in units of ours.
        wanted = float(row["target"].split()[1]) * row["peer_ms"] / row["ours_ms"]
        times.plot([wanted, wanted], [y - 0.4, y + 0.4], color="black")
    if row["limit_share"]:
        shares.barh(y, row["limit_share"], color="tab:green" if row["held"] else "0.6")
times.set_xscale("log")
times.set_yticks(range(len(rows)), [f"{r['work']}  ({r['ours_ms']:.3g} ms)" for r in rows])
times.invert_yaxis()
times.set_xlabel("time, ours = 1 (grey); the black line is the target: it holds where the line is right of 1")
shares.set_xlabel("share of the machine's limit")
shares.set_xlim(0, 1)
for peer in peers:
    times.plot([], [], "o", color=colours[peer], label=peer)
if peers:
    times.legend(loc="best", fontsize=8)
figure.suptitle(f"{machine['cpu']}, {machine['threads']} threads, {machine['fma_gflops']:.0f} GFLOP/s, "
                f"{machine['memory_gbs']:.0f} GB/s", fontsize=10)
figure.tight_layout()
figure.savefig(sys.argv[2])
print("picture in", sys.argv[2])

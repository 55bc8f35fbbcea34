// Shows what the tool answered in the page's one element, and follows a run until it has ended.
const WAIT_SECONDS = 2;
const PAUSE_MILLISECONDS = 500;
const MOST_FAILURES = 3;
// Found by its id: some clients put the whole page into the body of one of theirs.
const view = document.getElementById("view");
let followed = 0;

function show(result) {
  followed += 1;
  const answer = result.structuredContent;
  if (!answer) view.replaceChildren(told([textOf(result) || "There is nothing to show."]));
  else if (answer.error) view.replaceChildren(problem(answer.error));
  else {
    view.value = answer;
    if (bridge.canCall && isOpen(answer)) follow(answer.run_id, followed);
  }
}

function textOf(result) {
  return (result.content ?? []).map((block) => block.text ?? "").join("\n");
}

function isOpen(answer) {
  return answer.run_id !== undefined && ["queued", "running"].includes(answer.status);
}

async function follow(runId, turn) {
  const call = { name: "get_run", arguments: { run_id: runId, wait_seconds: WAIT_SECONDS } };
  for (let failures = 0; failures < MOST_FAILURES; ) {
    await seen();
    try {
      const { structuredContent: run } = await bridge.ask("tools/call", call);
      if (turn !== followed) return;
      if (run?.run_id !== runId) throw new Error("no run in the answer");
      failures = 0;
      view.value = run;
      if (!isOpen(run)) return;
    } catch {
      failures += 1;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
  }
}

function seen() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

const bridge = new Bridge({
  "ui/notifications/tool-result": show,
  "ui/notifications/tool-cancelled": () => view.replaceChildren(told(["The call was cancelled."])),
  "ui/resource-teardown": () => (followed += 1),
});
bridge.begin(view.localName);

// A form with `data-ceremony` asks the site for a challenge (`data-begin`), has the browser answer it with a passkey,
// and sends the answer in its field `credential`. The rest is plain forms and pages.

"use strict";

const ceremonies = {
  create: (options) =>
    navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }),
  get: (options) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }),
};

const reasons = {
  InvalidStateError: "This device has a passkey of this account already.",
  NotAllowedError: "That did not work: it was cancelled or took too long, or this device has no fitting passkey.",
  TypeError: "This browser has no passkeys, or the site cannot be reached.",
};

async function begin(form) {
  const answer = await fetch(form.dataset.begin, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (answer.ok) return answer.json();
  // The page of a problem says in its first paragraph what is wrong.
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  throw new Error(page.querySelector("p")?.textContent ?? "The site does not answer.");
}

async function perform(form) {
  const [button, problem] = [form.querySelector("button"), form.querySelector("[role=alert]")];
  button.disabled = true;
  problem.hidden = true;
  try {
    const credential = await ceremonies[form.dataset.ceremony](await begin(form));
    form.elements.credential.value = JSON.stringify(credential);
    form.submit();
  } catch (error) {
    problem.textContent = reasons[error.name] ?? error.message;
    problem.hidden = false;
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll("form[data-ceremony]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    perform(form);
  });
}

// Keeps the page up to date. Everything on it is there without this script; it only changes what has changed.
"use strict";

(() => {
  const POLL_SECONDS = 5;
  const RETRY_SECONDS = 60;
  const connection = document.getElementById("connection");
  const updated = document.getElementById("updated");

  // Make `old` like `fresh`, node by node: what somebody has focused or selected stays what it is.
  function morph(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    morphChildren(old, fresh);
  }

  function morphChildren(old, fresh) {
    const olds = [...old.childNodes];
    const freshes = [...fresh.childNodes];
    freshes.forEach((child, at) => (at < olds.length ? morph(olds[at], child) : old.append(child)));
    olds.slice(freshes.length).forEach((child) => child.remove());
  }

  function parse(html) {
    return new DOMParser().parseFromString(html, "text/html");
  }

  function showLocalTimes(root) {
    for (const time of root.querySelectorAll("time")) {
      const moment = new Date(time.dateTime);
      const isToday = moment.toDateString() === new Date().toDateString();
      time.textContent = isToday ? moment.toLocaleTimeString() : moment.toLocaleString();
    }
  }

  function show(name, fresh) {
    const section = document.getElementById(name);
    if (!section) return;
    showLocalTimes(fresh);
    morphChildren(section, fresh);
  }

  function say(state) {
    connection.textContent = state;
    updated.textContent = new Date().toLocaleTimeString();
  }

  function listen() {
    const events = new EventSource("events");
    events.onopen = () => say("Live since");
    events.onmessage = (event) => {
      for (const [name, html] of Object.entries(JSON.parse(event.data))) {
        show(name, parse(`<section>${html}</section>`).querySelector("section"));
      }
      say("Live, last change");
    };
    events.onerror = () => {
      if (events.readyState !== EventSource.CLOSED) {
        say("No answer since");
        return; // the browser tries again by itself
      }
      poll(RETRY_SECONDS / POLL_SECONDS);
    };
  }

  // There is no place for another one who listens: ask now and then.
  async function poll(times) {
    try {
      const answer = await fetch("./", { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      for (const section of parse(await answer.text()).querySelectorAll("main > section")) show(section.id, section);
      say("As of");
    } catch {
      say("No answer at");
    }
    setTimeout(() => (times > 1 ? poll(times - 1) : listen()), POLL_SECONDS * 1000);
  }

  showLocalTimes(document);
  listen();
})();

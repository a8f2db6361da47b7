// Chat with the echo: on an ordered channel, so echoes come in the order of what was sent.
import { $, milliseconds } from "./dom.js";

export const chat = {
  open(channel) {
    this.channel = channel;
    this.sentAt = [];
    channel.onmessage = ({ data }) =>
      this.add("echo", data, `${milliseconds(performance.now() - this.sentAt.shift())} ms`);
    this.enable(true);
  },
  close() {
    this.channel = null;
    this.enable(false);
  },
  enable(on) {
    $("chat-input").disabled = $("chat-send").disabled = !on;
    $("chat-input").placeholder = on ? "Write a message" : "Connect first";
  },
  send(text) {
    if (this.channel?.readyState !== "open" || !text) return;
    this.sentAt.push(performance.now());
    this.add("mine", text);
    try {
      this.channel.send(text);
      $("chat-input").value = "";
    } catch (error) {
      this.sentAt.pop();
      this.add("note", `Not sent: ${error.message}`);
    }
  },
  add(kind, text, aside) {
    const line = document.createElement("div");
    line.className = `message ${kind}`;
    line.textContent = text;
    if (aside) line.append(Object.assign(document.createElement("small"), { textContent: aside }));
    $("chat-log").append(line);
    $("chat-log").scrollTop = $("chat-log").scrollHeight;
  },
};

$("chat-form").addEventListener("submit", (event) => {
  event.preventDefault();
  chat.send($("chat-input").value);
  $("chat-input").focus();
});

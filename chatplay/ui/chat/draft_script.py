"""Keeps what is typed in the chat's input while the page is loaded anew: after a reload, and after signing in again.

It stays in the tab, under the chat's id, which nobody else can open; a message is let go of once it is on the page.
"""

DRAFT = """(() => {
  if (window.chatplayDraft) return;
  window.chatplayDraft = 1;
  const INPUT = '[data-testid=stChatInputTextArea]', NAME = 'chatplay-draft', ON_THE_WAY_MS = 10000, DRAWN_MS = 500;
  const find = selector => document.querySelector(selector);
  let chat = null, known = '', sent = '', sentAt = 0, seenAt = 0, leaves = false;

  const kept = () => { try { return JSON.parse(sessionStorage.getItem(NAME)) || {}; } catch { return {}; } };
  const keep = text => {
    known = text;
    try {
      text.trim() ? sessionStorage.setItem(NAME, JSON.stringify({chat, text})) : sessionStorage.removeItem(NAME);
    } catch {}  // no room: it is only a draft
  };
  const isOnPage = text => {
    const said = [...document.querySelectorAll('[aria-label="Chat message from user"] .stText')].pop();
    return !!said && said.textContent.trim() === text.trim();
  };
  const put = (input, text) => {
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(input), 'value').set.call(input, text);
    input.dispatchEvent(new Event('input', {bubbles: true}));
  };

  const look = () => {
    if (leaves) return;
    const input = find('.st-key-chat_column') && find(INPUT), now = new URLSearchParams(location.search).get('chat');
    if (!input || input.disabled || !now) return;
    if (chat === null) {
      seenAt = seenAt || Date.now();
      if (Date.now() - seenAt < DRAWN_MS) return;  // a message that was sent may not be drawn yet
      const draft = kept();
      if (draft.chat === now && !input.value && !isOnPage(draft.text)) put(input, draft.text);
    }
    const moved = now !== chat;
    chat = now;
    if (sent && !input.value && !isOnPage(sent) && Date.now() - sentAt < ON_THE_WAY_MS) return;
    sent = '';
    if (moved || input.value !== known) keep(input.value);
  };
  const sends = event => event.type === 'click' ? event.target.closest('[data-testid=stChatInputSubmitButton]')
    : event.key === 'Enter' && !event.shiftKey && !event.isComposing && event.target.matches(INPUT);
  const note = event => {
    if (event.target.closest('.st-key-frame_sign_out button')) { keep(''); leaves = true; }
    if (!sends(event) || !find(INPUT)) return;
    look();
    [sent, sentAt] = [find(INPUT).value, Date.now()];
  };
  document.addEventListener('keydown', note, true);
  document.addEventListener('click', note, true);
  addEventListener('pagehide', look);
  setInterval(look, 250);
})()
"""

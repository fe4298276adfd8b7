"""Where the chat page stands: at its end while that grows, unless a person looks at something further up. A chat
without a message shows its head.

A message that is sent leads to the end again; so does another chat. What one reads stays where it is when earlier
messages come in above it.
"""

PLACE = """(() => {
  if (window.chatplayPlace) return;
  window.chatplayPlace = 1;
  const find = selector => document.querySelector(selector);
  let page = null, parts = [], follows = true, has = false, top = 0, address = '', rest = 0;
  const below = () => page.scrollHeight - page.clientHeight - page.scrollTop;

  const grown = () => {
    if (!find('.st-key-chat_column')) return;
    if (address !== location.search) { address = location.search; follows = true; }
    const had = has;
    has = !!find('.stChatMessage');
    if (!has) { if (had) page.scrollTop = 0; return; }
    if (follows) page.scrollTop = page.scrollHeight;
    else if (rest) page.scrollTop = page.scrollHeight - rest;
  };
  const moved = () => {
    if (below() < 2) follows = true;
    else if (page.scrollTop < top) follows = false;
    top = page.scrollTop;
  };
  const sizes = new ResizeObserver(grown);
  const attach = () => {
    const now = ['[data-testid=stMain]', '.stMainBlockContainer', '.stBottom'].map(find);
    if (now.every((part, place) => part === parts[place])) return;
    sizes.disconnect();
    if (page) page.removeEventListener('scroll', moved);
    [page] = parts = now;
    if (!page) return;
    page.addEventListener('scroll', moved, {passive: true});
    for (const part of parts) if (part) sizes.observe(part);
  };

  for (const name of ['wheel', 'touchmove', 'keydown', 'pointerdown'])
    document.addEventListener(name, () => { rest = 0; }, {capture: true, passive: true});
  document.addEventListener('click', event => {
    if (event.target.closest('.st-key-chat_advanced summary, .st-key-chat_older')) follows = false;
    if (event.target.closest('.st-key-chat_older')) rest = page.scrollHeight - page.scrollTop;
    if (event.target.closest('[data-testid=stChatInputSubmitButton]')) { follows = true; grown(); }
  }, true);
  document.addEventListener('keydown', event => {
    const sends = event.key === 'Enter' && !event.shiftKey && !event.isComposing;
    if (sends && event.target.matches('[data-testid=stChatInputTextArea]')) { follows = true; grown(); }
  }, true);
  setInterval(attach, 250);
  attach();
})()
"""

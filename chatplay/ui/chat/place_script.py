"""Where the chat page stands: opening *Advanced* moves nothing, and a message that is sent is followed from then on.

Streamlit keeps a page that stands at its end there while it grows, whatever makes it grow. A scroll that comes after
the page has grown ends that; it hears of the new height by the focus. A browser test notices when another version
answers otherwise.
"""

PLACE = """(() => {
  if (window.chatplayPlace) return;
  window.chatplayPlace = 1;
  const page = () => document.querySelector('[data-testid=stAppScrollToBottomContainer]');
  const below = box => box.scrollHeight - box.clientHeight - box.scrollTop;

  const stay = (box, frames) => {
    if (below(box) >= 1) for (const name of ['focus', 'scroll']) box.dispatchEvent(new Event(name));
    else if (frames) requestAnimationFrame(() => stay(box, frames - 1));
  };
  const follow = () => { const box = page(); if (box && below(box) >= 1) box.scrollTop = box.scrollHeight; };

  document.addEventListener('click', event => {
    if (event.target.closest('.st-key-chat_advanced summary')) requestAnimationFrame(() => stay(page(), 60));
    if (event.target.closest('[data-testid=stChatInputSubmitButton]')) follow();
  }, true);
  document.addEventListener('keydown', event => {
    const sends = event.key === 'Enter' && !event.shiftKey && !event.isComposing;
    if (sends && event.target.matches('[data-testid=stChatInputTextArea]') && event.target.value.trim()) follow();
  }, true);
})()
"""

"""The script that keeps the context line up with each key stroke, in the browser, without a run of the page.

It counts a text as `chatplay.tokens.estimate` does; a browser test holds the two together. No `<` stands before a
letter: the page's sanitizer would take it for a tag.
"""

METER = """
(() => {
  if (window.chatplayMeter) return;
  window.chatplayMeter = 1;
  const INPUT = '[data-testid=stChatInputTextArea]', SYSTEM = '.st-key-chat_param_system_prompt textarea';
  const LIMIT = '.st-key-chat_param_max_tokens';
  const find = selector => document.querySelector(selector);
  const number = new Intl.NumberFormat('en-US');

  // What kind of character: 0 blank, 1 letter, 2 accented letter, 3 digit, 4 sign, 5 CJK, 6 other.
  const kinds = new Uint8Array(65536).fill(6);
  kinds.fill(4, 0, 0xc0).fill(2, 0xc0, 0x250).fill(1, 65, 91).fill(1, 97, 123).fill(3, 48, 58);
  kinds.fill(5, 0x2e80, 0xa000).fill(5, 0xac00, 0xd800).fill(5, 0xf900, 0xfb00).fill(5, 0xff00, 0xfff0);
  for (const blank of [9, 10, 13, 32]) kinds[blank] = 0;

  const count = (text, weights) => {
    if (!text) return 0;
    let words = 0, runs = 0, blanks = 0, before = 9, seen = false;
    const many = new Float64Array(7);
    for (let at = 0, end = text.length; at < end; at++) {
      const code = text.charCodeAt(at), kind = kinds[code];
      many[kind]++;
      if (kind === 0) {
        if (before !== 0) seen = false;
        if (!seen && (before === 0 || code !== 32)) { blanks++; seen = true; }
      } else if (kind < 3) {
        if (before !== 1 && before !== 2) words++;
      } else if (kind === 4 && before !== 4) runs++;
      before = kind;
    }
    const shape = [1, words, many[1] + many[2], many[2], many[3], many[4], runs, blanks, many[5], many[6]];
    return Math.ceil(shape.reduce((sum, value, place) => sum + value * weights[place], 0));
  };

  let held = false, weightsOf = '', weights = [], known = '', systemText = null, systemTokens = 0;

  // Tokens of the answer that is coming.
  const live = meter => {
    const line = meter.dataset.running && find('.chat-performance');
    return line ? Number(line.dataset.live) : 0;
  };
  const reserve = meter => {
    const field = find(LIMIT + ' input');
    return Math.max((Number(field ? field.value : meter.dataset.limit) || 0) - live(meter), 0);
  };
  // How much more the system prompt takes than when the line was drawn.
  const systemMore = meter => {
    const field = find(SYSTEM);
    if (!field || field.disabled) return 0;
    if (field.value !== systemText) {
      systemText = field.value;
      systemTokens = systemText.trim() ? count(systemText, weights) : 0;
    }
    return systemTokens - Number(meter.dataset.systemGuess);
  };
  const state = (meter, text) => text.length + '/' + reserve(meter) + '/' + live(meter);
  const set = (node, name, value) => { if (node.getAttribute(name) !== value) node.setAttribute(name, value); };

  const update = () => {
    const meter = find('.chat-context');
    if (!meter || !meter.dataset.weights) { held = false; return; }
    const data = meter.dataset, input = find(INPUT), text = input ? input.value : '';
    if (data.weights !== weightsOf) { weightsOf = data.weights; weights = JSON.parse(weightsOf); systemText = null; }
    const kept = reserve(meter), more = systemMore(meter), draft = text.trim() ? count(text, weights) : 0;
    const come = live(meter), used = Number(data.used) + come + more + draft;
    const limit = Number(data.window), total = used + kept, share = limit ? total / limit : 0;
    const alone = Number(data.system) + more + draft + kept;
    const least = data.policy === 'drop_oldest' ? alone : total;
    held = limit > 0 && least > limit;
    const guess = data.estimated === '1' || draft > 0 || more !== 0 || come > 0;
    // Too long by itself, no turn that is left out or left behind makes room.
    const level = held ? 'full chat-held' + (alone > limit ? ' chat-alone' : '')
      : share > 1 ? 'nearly chat-dropping' : share >= 0.8 ? 'nearly' : 'free';
    set(meter, 'class', 'chat-context chat-' + level + (data.running ? ' chat-running' : ''));
    const label = 'Context: ' + (guess ? '~' : '') + number.format(total) + ' / ' +
      (limit ? number.format(limit) : 'n/a') + ' tokens';
    const line = meter.querySelector('.chat-count');
    if (line.textContent !== label) line.textContent = label;
    set(line, 'title', number.format(used) + ' for the prompt, ' + number.format(kept) +
      ' kept for the answer (Max tokens). ' + (guess ? data.guess : data.how) +
      (level === 'nearly chat-dropping' ? ' The oldest turns will be left out.' : ''));
    const bar = meter.querySelector('.chat-bar'), scale = Math.max(share, 1);
    set(bar, 'aria-valuenow', String(Math.min(Math.round(share * 100), 100)));
    set(bar.children[0], 'style', 'width:' + (limit ? used / limit / scale * 100 : 0).toFixed(1) + '%');
    set(bar.children[1], 'style', 'width:' + (limit ? kept / limit / scale * 100 : 0).toFixed(1) + '%');
    const button = find('[data-testid=stChatInputSubmitButton]');
    if (button) held ? set(button, 'aria-disabled', 'true') : button.removeAttribute('aria-disabled');
    known = state(meter, text);
  };

  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; update(); });
  };
  const guard = event => {
    const sends = event.type === 'click' ? event.target.closest('[data-testid=stChatInputSubmitButton]')
      : event.key === 'Enter' && !event.shiftKey && !event.isComposing && event.target.matches(INPUT);
    if (!sends) return;
    update();
    if (held) { event.preventDefault(); event.stopImmediatePropagation(); }
  };
  document.addEventListener('keydown', guard, true);
  document.addEventListener('click', guard, true);
  for (const name of ['input', 'keyup', 'pointerup']) document.addEventListener(name, soon, true);

  // The server draws the line anew; the draft must be in it before anybody sees it.
  let place = null;
  const observer = new MutationObserver(update);
  const attach = () => {
    const now = find('.st-key-chat_foot_line');
    if (now === place) return;
    observer.disconnect();
    place = now;
    if (place) { observer.observe(place, {childList: true, subtree: true}); update(); }
  };
  // A text that the page itself puts in or takes away raises no event.
  setInterval(() => {
    attach();
    const meter = place && find('.chat-context'), input = meter && find(INPUT);
    if (input && meter.dataset.weights && state(meter, input.value) !== known) soon();
  }, 250);
  attach();
})()
"""

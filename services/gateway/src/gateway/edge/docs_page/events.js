// Finds events as one types, and opens the one that the address names. The page works without.
'use strict';

const search = document.getElementById('search');
const events = [...document.querySelectorAll('.event')];
// Its title and the names of its fields: what values a field may have would find nearly every event.
const texts = events.map((event) => [...event.querySelectorAll('summary, .name')]
  .map((part) => part.textContent.toLowerCase()).join(' '));
const topics = [...document.querySelectorAll('.topic')];
const guides = [...document.querySelectorAll('.guide')];
const found = document.getElementById('found');
const links = new Map([...document.querySelectorAll('nav a')].map((link) => [link.hash.slice(1), link]));

function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  events.forEach((event, place) => {
    const fits = words.every((word) => texts[place].includes(word));
    event.hidden = !fits;
    links.get(event.id).parentElement.hidden = !fits;
    count += fits;
  });
  topics.forEach((topic) => { topic.hidden = !topic.querySelector('.event:not([hidden])'); });
  guides.forEach((guide) => { guide.hidden = words.length > 0; });
  found.hidden = words.length === 0;
  found.textContent = count === 1 ? 'One event' : `${count || 'No'} events`;
}

function open() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!named) return;
  if (named.matches('details')) named.open = true;
  named.scrollIntoView();
}

search.closest('label').hidden = false;
search.addEventListener('input', show);
addEventListener('hashchange', open);
addEventListener('keydown', (press) => {
  if (press.key === '/' && document.activeElement !== search) {
    press.preventDefault();
    search.focus();
  }
});
open();

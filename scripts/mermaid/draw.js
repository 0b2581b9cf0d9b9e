// Part of the book: a page that has diagrams loads Mermaid, which draws them.
(() => {
  const blocks = document.querySelectorAll('code.language-mermaid');
  if (blocks.length === 0) return;
  for (const block of blocks) {
    const diagram = document.createElement('pre');
    diagram.className = 'mermaid';
    diagram.textContent = block.textContent;
    block.closest('pre').replaceWith(diagram);
  }
  const script = document.createElement('script');
  script.src = `${path_to_root}mermaid.min.js`;
  script.onload = () => {
    const dark = ['ayu', 'coal', 'navy'].some((theme) => document.documentElement.classList.contains(theme));
    mermaid.initialize({ startOnLoad: false, theme: dark ? 'dark' : 'default' });
    mermaid.run();
  };
  document.head.append(script);
})();

// <devopser-detection>: what `devopser detect --json` said, and the lines that prove it. Set `.report`, or the attribute
// `src` to an address that answers with the report. Texts are set as text, never as markup: a repository wrote them.

const FIELDS = [
  ['runtime', 'Runtime'],
  ['version', 'Version'],
  ['framework', 'Framework'],
  ['package_manager', 'Package manager'],
  ['install_command', 'Install'],
  ['build_command', 'Build'],
  ['release_command', 'Before start'],
  ['start_command', 'Start'],
  ['port', 'Port'],
  ['health_path', 'Health check'],
  ['databases', 'Databases'],
  ['data_folders', 'Data'],
  ['output_dir', 'Output folder'],
  ['services', 'Services'],
];

const STYLE = `
:host { display: block; font: 14px/1.5 system-ui, sans-serif; color: light-dark(#1c1c1e, #ececf0); color-scheme: light dark }
table { border-collapse: collapse; width: 100% }
th, td { text-align: start; vertical-align: top; padding: .35em .8em .35em 0; border-bottom: 1px solid light-dark(#ddd, #444) }
th { font-weight: 600; white-space: nowrap }
code { font: 13px ui-monospace, monospace }
small { color: light-dark(#5b5b63, #a9a9b2) }
p { margin: 0 }`;

/** The rows of a report that have an answer: label, text and the places that prove it. */
export const detectionRows = (report) =>
  FIELDS.flatMap(([name, label]) => {
    const value = report[name];
    const text = Array.isArray(value) ? value.join(', ') : value;
    if (text === null || text === undefined || text === '') return [];
    const places = (report.evidence?.[name] ?? []).map(({ path, line }) => (line ? `${path}:${line}` : path));
    return [{ name, label, text: String(text), places: [...new Set(places)] }];
  });

const element = (tag, text) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  return made;
};

const table = (rows) => {
  const body = element('tbody');
  for (const { label, text, places } of rows) {
    const row = element('tr');
    const head = element('th', label);
    head.scope = 'row';
    const cell = element('td');
    cell.append(element('code', text));
    if (places.length > 0) cell.append(element('br'), element('small', places.join(', ')));
    row.append(head, cell);
    body.append(row);
  }
  const made = element('table');
  made.append(body);
  return made;
};

/** The element; on a server, where there is no document, a class that cannot be used. */
export class DetectionPanel extends (globalThis.HTMLElement ?? class {}) {
  static observedAttributes = ['src'];
  #report = null;

  set report(report) {
    this.#report = report;
    this.#show(report && table(detectionRows(report)));
  }

  get report() {
    return this.#report;
  }

  connectedCallback() {
    if (!this.shadowRoot) this.report = this.#report;
  }

  attributeChangedCallback(_name, _old, source) {
    if (source) this.#load(source);
  }

  async #load(source) {
    try {
      const answer = await fetch(source);
      if (!answer.ok) throw new Error(`${source} answered ${answer.status}`);
      this.report = await answer.json();
    } catch (error) {
      const text = element('p', `The report cannot be shown: ${error.message}`);
      text.setAttribute('role', 'alert');
      this.#show(text);
    }
  }

  #show(content) {
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    root.replaceChildren(element('style', STYLE), content || element('p', 'Nothing was looked at yet.'));
  }
}

if (globalThis.customElements && !customElements.get('devopser-detection')) {
  customElements.define('devopser-detection', DetectionPanel);
}

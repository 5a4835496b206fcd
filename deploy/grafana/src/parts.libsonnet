// The parts that dashboards are made of. Every panel has a title, a description, a unit, thresholds and links:
// they are arguments without a default.
local settings = import 'settings.libsonnet';

local datasource = { type: 'prometheus', uid: '${datasource}' };

// Colours of thresholds: base, then pairs of a value and a colour.
local steps(list) = {
  mode: 'absolute',
  steps: [{ color: list[0], value: null }] +
         [{ color: list[i + 1], value: list[i] } for i in std.range(1, std.length(list) - 2) if i % 2 == 1],
};

// A link as panels have it.
local link(title, url, elsewhere=true) = {
  title: title,
  type: 'link',
  url: url,
  tags: [],
  asDropdown: false,
  icon: 'external link',
  includeVars: false,
  keepTime: false,
  targetBlank: elsewhere,
  tooltip: '',
};

local variable(name, label, query, multi, all, hide=0) = {
  type: 'query',
  name: name,
  label: label,
  datasource: datasource,
  query: { query: query, refId: 'Variable-' + name },
  // On every change of the time range.
  refresh: 2,
  sort: 1,
  multi: multi,
  includeAll: all,
  [if all then 'allValue']: '.+',
  [if all then 'current']: { selected: true, text: ['All'], value: ['$__all'] },
  hide: hide,
};

{
  settings: settings,

  // What every query selects, and with an incident.
  chosen: 'job=~"$job", instance=~"$instance"',
  of_incident: self.chosen + ', incident=~"$incident"',

  // Thresholds.
  plain: steps(['blue']),
  good: steps(['green']),
  rising(warn, bad): steps(['green', warn, 'orange', bad, 'red']),
  falling(bad, good): steps(['red', bad, 'orange', good, 'green']),
  any_is_bad: steps(['green', 1, 'red']),

  // Links.
  runbook(page): link('Runbook: ' + page, settings.home + '/docs/runbooks/' + page + '.md'),
  doc(title, page): link(title, settings.home + '/' + page),
  metric(name): link('What is measured: ' + name, settings.home + '/docs/metrics.md'),
  dashboard(title, uid, more=''): link(
    title,
    '/d/' + uid + '?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${__url_time_range}' + more,
    elsewhere=false
  ),
  alerts(title, query): link(title, '${cardwatch}/v1/alerts?' + query),

  // One query.
  query(expr, legend='__auto', instant=false): {
    datasource: datasource,
    expr: expr,
    legendFormat: legend,
    range: !instant,
    instant: instant,
    [if instant then 'format']: 'time_series',
  },
  // A query whose answer is a table.
  rows(expr): {
    datasource: datasource,
    expr: expr,
    format: 'table',
    range: false,
    instant: true,
  },

  local panel(type, title, description, unit, thresholds, links, queries, size) = {
    type: type,
    title: title,
    description: description,
    datasource: datasource,
    links: links,
    targets: [queries[i] { refId: std.char(65 + i) } for i in std.range(0, std.length(queries) - 1)],
    fieldConfig: {
      defaults: { unit: unit, thresholds: thresholds, color: { mode: 'thresholds' }, mappings: [], links: [] },
      overrides: [],
    },
    gridPos: { w: size[0], h: size[1], x: 0, y: 0 },
  },

  // One number.
  number(title, description, unit, thresholds, links, query, size=[4, 4]):
    panel('stat', title, description, unit, thresholds, links, [query { range: true, instant: false }], size) + {
      options: {
        colorMode: 'value',
        graphMode: 'area',
        justifyMode: 'auto',
        orientation: 'auto',
        percentChangeColorMode: 'standard',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        showPercentChange: false,
        textMode: 'auto',
        wideLayout: true,
      },
    },

  // Numbers beside each other, as they are now.
  bars(title, description, unit, thresholds, links, queries, size=[8, 7]):
    panel('bargauge', title, description, unit, thresholds, links, [q { range: false, instant: true } for q in queries], size) + {
      options: {
        displayMode: 'basic',
        legend: { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: false },
        maxVizHeight: 300,
        minVizHeight: 16,
        minVizWidth: 8,
        namePlacement: 'auto',
        orientation: 'horizontal',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        showUnfilled: true,
        sizing: 'auto',
        valueMode: 'color',
      },
    },

  // Lines over time. Thresholds are drawn where `drawn` says so.
  lines(title, description, unit, thresholds, links, queries, size=[12, 8], stacked=false, drawn=false):
    panel('timeseries', title, description, unit, thresholds, links, queries, size) + {
      fieldConfig+: {
        defaults+: {
          color: { mode: 'palette-classic' },
          custom: {
            drawStyle: if stacked then 'bars' else 'line',
            fillOpacity: if stacked then 60 else 10,
            lineWidth: 1,
            showPoints: 'never',
            spanNulls: false,
            stacking: { mode: if stacked then 'normal' else 'none', group: 'A' },
            thresholdsStyle: { mode: if drawn then 'line' else 'off' },
          },
          min: 0,
        },
      },
      options: {
        legend: { calcs: ['lastNotNull', 'max'], displayMode: 'table', placement: 'bottom', showLegend: true },
        tooltip: { mode: 'multi', sort: 'desc' },
      },
    },

  // A table made of several queries with a label in common; `columns` names their values in order.
  table(title, description, unit, thresholds, links, queries, key, columns, size=[24, 9]):
    local letters = [std.char(65 + i) for i in std.range(0, std.length(columns) - 1)];
    local many = std.length(columns) > 1;
    local value(i) = if many then 'Value #' + letters[i] else 'Value';
    panel('table', title, description, unit, thresholds, links, queries, size) + {
      fieldConfig+: {
        defaults+: { custom: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false, filterable: true } },
        overrides: [
          {
            matcher: { id: 'byName', options: columns[i].name },
            properties: [{ id: 'unit', value: columns[i].unit }] +
                        (if std.objectHas(columns[i], 'mappings') then [{ id: 'mappings', value: columns[i].mappings }] else []) +
                        (if std.objectHas(columns[i], 'thresholds')
                         then [{ id: 'thresholds', value: columns[i].thresholds }, { id: 'custom.cellOptions', value: { type: 'color-text' } }]
                         else []),
          }
          for i in std.range(0, std.length(columns) - 1)
        ] + (if std.objectHas(key, 'links') then [{
               matcher: { id: 'byName', options: key.name },
               properties: [{ id: 'links', value: key.links }],
             }] else []),
      },
      transformations: (if many then [{ id: 'merge', options: {} }] else []) + [
        {
          id: 'organize',
          options: {
            excludeByName: { Time: true },
            indexByName: { [key.label]: 0 } + { [value(i)]: i + 1 for i in std.range(0, std.length(columns) - 1) },
            renameByName: { [key.label]: key.name } + { [value(i)]: columns[i].name for i in std.range(0, std.length(columns) - 1) },
          },
        },
      ],
      options: {
        cellHeight: 'sm',
        showHeader: true,
        sortBy: [],
      },
    },

  // Words in place of the numbers 0 and 1.
  words(zero, one): [{
    type: 'value',
    options: {
      '0': { text: zero[0], color: zero[1], index: 0 },
      '1': { text: one[0], color: one[1], index: 1 },
    },
  }],

  // A dashboard of rows, each a title and its panels; places and ids follow from the order.
  board(uid, title, description, rows, links, from='now-24h', incident=null): {
    local place(row) = std.foldl(
      function(state, panel)
        local new = state.x + panel.gridPos.w > 24;
        local x = if new then 0 else state.x;
        local y = if new then state.y + state.height else state.y;
        {
          x: x + panel.gridPos.w,
          y: y,
          height: if new then panel.gridPos.h else std.max(state.height, panel.gridPos.h),
          panels: state.panels + [panel { gridPos+: { x: x, y: y } }],
        },
      row.panels,
      { x: 0, y: row.y + 1, height: 0, panels: [] }
    ),
    local all = std.foldl(
      function(state, row)
        local placed = place(row { y: state.y });
        {
          y: placed.y + placed.height,
          panels: state.panels + [{
            type: 'row',
            title: row.title,
            collapsed: false,
            gridPos: { h: 1, w: 24, x: 0, y: state.y },
            panels: [],
          }] + placed.panels,
        },
      rows,
      { y: 0, panels: [] }
    ).panels,

    uid: uid,
    title: title,
    description: description,
    tags: ['cardwatch'],
    schemaVersion: 42,
    version: 1,
    editable: false,
    graphTooltip: 1,
    refresh: '1m',
    time: { from: from, to: 'now' },
    timepicker: {},
    timezone: 'browser',
    fiscalYearStartMonth: 0,
    weekStart: '',
    preload: false,
    links: [{
      title: 'cardwatch',
      type: 'dashboards',
      tags: ['cardwatch'],
      asDropdown: false,
      icon: 'external link',
      includeVars: true,
      keepTime: true,
      targetBlank: false,
      tooltip: '',
      url: '',
    }] + links,
    annotations: {
      list: [
        {
          name: 'Revisions',
          datasource: datasource,
          enable: true,
          hide: false,
          iconColor: 'purple',
          target: { limit: 100, matchAny: false, tags: [], type: 'tags' },
          // The value is the time: an annotation stands where the list was changed, not where somebody scraped it.
          expr: 'max by (incident) (cardwatch_incident_revised_timestamp_seconds{' + $.chosen +
                (if incident == null then '' else ', incident=~"$incident"') + '}) * 1000',
          useValueForTime: 'on',
          step: '60s',
          titleFormat: 'List of {{incident}} changed',
          textFormat: 'cardwatch incident show {{incident}}',
          tagKeys: 'incident',
        },
        {
          name: 'Restarts',
          datasource: datasource,
          enable: true,
          hide: false,
          iconColor: 'orange',
          target: { limit: 100, matchAny: false, tags: [], type: 'tags' },
          expr: 'process_start_time_seconds{' + $.chosen + '} * 1000',
          useValueForTime: 'on',
          step: '60s',
          titleFormat: '{{instance}} started',
          textFormat: '',
          tagKeys: 'instance',
        },
      ],
    },
    templating: {
      list: [
        {
          type: 'datasource',
          name: 'datasource',
          label: 'Data Source',
          query: 'prometheus',
          multi: false,
          includeAll: false,
          refresh: 1,
          regex: '',
          hide: 0,
        },
        variable('job', 'job', 'label_values(cardwatch_build_info, job)', true, true),
        variable('instance', 'instance', 'label_values(cardwatch_build_info{job=~"$job"}, instance)', true, true),
      ] + (if incident == null then [] else [
             variable('incident', 'incident', 'label_values(cardwatch_incident_open{' + $.chosen + '}, incident)', incident == 'many', incident == 'many'),
           ]) + [
        {
          type: 'textbox',
          name: 'cardwatch',
          label: 'cardwatch API',
          description: 'Where the links to alerts lead: the address of cardwatch, or of the proxy in front of it.',
          query: 'http://127.0.0.1:9600',
          current: { selected: true, text: 'http://127.0.0.1:9600', value: 'http://127.0.0.1:9600' },
          hide: 0,
        },
      ],
    },
    panels: [all[i] { id: i + 1 } for i in std.range(0, std.length(all) - 1)],
  },
}

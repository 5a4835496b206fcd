// What an analyst opens each morning.
local p = import 'parts.libsonnet';

local once(metric, by, more='') =
  'max by (' + by + ') (' + metric + '{' + p.chosen + (if more == '' then '' else ', ' + more) + '})';
local incident = p.dashboard('Incident', 'cardwatch-incident');
local books = p.metric('books');
// How long ago a card of an incident was seen; of one that never was, how long ago its list was changed.
local unseen = '((time() - (' + once('cardwatch_incident_last_seen_timestamp_seconds', 'incident') + ' > 0)) or on (incident) ' +
               '(time() - ' + once('cardwatch_incident_revised_timestamp_seconds', 'incident') + '))';
local silent = '(' + unseen + ' > ' + p.settings.silent_days + ' * 86400) and on (incident) (' + once('cardwatch_incident_open', 'incident') + ' == 1)';
// Minor units become units of the currency; sums of different currencies are never added.
local money(is) = 'sum by (currency) (' + once('cardwatch_incident_money_minor_units', 'incident, currency', 'is="' + is + '"') +
                  ') / on (currency) ' + once('cardwatch_currency_minor_units', 'currency');

p.board(
  'cardwatch-overview',
  'cardwatch / Overview',
  'The incidents, the alerts that wait, the money, and which incidents have gone quiet.',
  [
    {
      title: 'This morning',
      panels: [
        p.number('Incidents watched', 'Incidents that are open: transactions on their cards are recognised.', 'short', p.plain, [incident, books],
                 p.query('max(cardwatch_open_incidents{' + p.chosen + '})', 'Incidents')),
        p.number('Exposed cards', 'Cards on the list of any open incident. 0 means that nothing is recognised.', 'short', p.falling(1, 1), [p.runbook('CardwatchNoExposedSet'), incident],
                 p.query('max(cardwatch_exposed_cards{' + p.chosen + '})', 'Cards')),
        p.number('Exposed cards seen', 'Cards of all incidents that were used at least once within the watch.', 'short', p.plain, [incident, books],
                 p.query('sum(' + once('cardwatch_incident_cards', 'incident', 'are="seen"') + ')', 'Cards')),
        p.number('Open alerts', 'Alerts that wait for a decision.', 'short', p.rising(20, 100), [p.alerts('The open alerts', 'state=open'), books],
                 p.query('sum(' + once('cardwatch_open_alerts', 'severity') + ')', 'Alerts')),
        p.number('Oldest open alert', 'How long the alert that waits longest has waited. Goods that were not shipped yet can be held for hours, not for days.', 's', p.rising(4 * 3600, 86400), [p.alerts('The open alerts', 'state=open'), books],
                 p.query('max(cardwatch_oldest_open_alert_age_seconds{' + p.chosen + '})', 'Age')),
        p.number('Silent incidents', 'Open incidents none of whose cards was used for ' + p.settings.silent_days + ' days. A new one in a long list is good news; all of them at once is a fault of the stream.', 'short', p.rising(1, 3), [p.runbook('CardwatchHitsFellToNothing'), incident],
                 p.query('count(' + silent + ') or vector(0)', 'Incidents')),
      ],
    },
    {
      title: 'Alerts',
      panels: [
        p.bars('Open alerts by severity', 'Alerts that wait for a decision, by severity.', 'short', p.rising(10, 50), [p.alerts('The high ones', 'state=open&severity=high'), books],
               [p.query(once('cardwatch_open_alerts', 'severity'), '{{severity}}')]),
        p.bars('Open alerts by age', 'Alerts that wait for a decision, by how long they have waited.', 'short', p.rising(10, 50), [p.alerts('The open alerts', 'state=open'), books],
               [p.query(once('cardwatch_open_alerts_by_age', 'age'), '{{age}}')]),
        p.bars('Open alerts by rule', 'Alerts that wait for a decision, under each rule among their reasons: an alert with three reasons counts three times.', 'short', p.rising(10, 50), [p.alerts('The open alerts', 'state=open'), p.doc('Rules', 'config/rules.toml')],
               [p.query('topk(12, ' + once('cardwatch_open_alerts_by_rule', 'rule') + ' > 0) or ' + once('cardwatch_open_alerts_by_rule', 'rule', 'rule="the.rest"'), '{{rule}}')]),
        p.lines('Alerts raised', 'Alerts raised, by severity.', 'short', p.good, [p.alerts('The newest alerts', 'order=newest'), p.metric('score')],
                [p.query('sum by (severity) (increase(cardwatch_alerts_total{' + p.chosen + '}[$__rate_interval]))', '{{severity}}')], stacked=true),
        p.lines('Reasons of alerts raised', 'Rules that held in alerts raised. One rule that grows while the others do not has met something new, or is too eager.', 'short', p.good, [p.doc('Rules', 'config/rules.toml'), p.metric('score')],
                [p.query('sum by (rule) (increase(cardwatch_alert_reasons_total{' + p.chosen + '}[$__rate_interval]))', '{{rule}}')], stacked=true),
        p.lines('Decisions', 'Outcomes that closed an alert or opened it again, by verdict.', 'short', p.good, [p.alerts('The closed alerts', 'state=closed'), books],
                [p.query('sum by (verdict) (increase(cardwatch_outcomes_total{' + p.chosen + ', effect=~"closed|reopened"}[$__rate_interval]))', '{{verdict}}')], size=[24, 7], stacked=true),
      ],
    },
    {
      title: 'Money at stake',
      panels: [
        p.bars('Suspected', 'Approved purchases on which an alert was raised, in units of each currency. Currencies are not added up.', 'short', p.plain, [p.alerts('The costliest alerts', 'order=costliest&state=open'), books],
               [p.query(money('suspected_approved'), '{{currency}}')], size=[8, 6]),
        p.bars('Confirmed', 'Approved purchases that a person found to be fraud, in units of each currency.', 'short', p.plain, [p.alerts('The closed alerts', 'state=closed'), books],
               [p.query(money('confirmed_approved'), '{{currency}}')], size=[8, 6]),
        p.bars('Declined before it was lost', 'Declined attempts on which an alert was raised, in units of each currency: not lost, and a sign of who is trying.', 'short', p.plain, [p.alerts('The open alerts', 'state=open'), books],
               [p.query(money('suspected_declined'), '{{currency}}')], size=[8, 6]),
      ],
    },
    {
      title: 'Incidents',
      panels: [
        p.table(
          'Incidents', 'Every incident with its books. Its name leads to its own dashboard.', 'short', p.plain, [incident, books],
          [
            p.rows(once('cardwatch_incident_open', 'incident')),
            p.rows(once('cardwatch_incident_revision', 'incident')),
            p.rows(once('cardwatch_incident_revised_timestamp_seconds', 'incident') + ' * 1000'),
            p.rows(once('cardwatch_incident_cards', 'incident', 'are="listed"')),
            p.rows(once('cardwatch_incident_cards', 'incident', 'are="seen"')),
            p.rows(once('cardwatch_incident_cards', 'incident', 'are="suspected"')),
            p.rows(once('cardwatch_incident_cards', 'incident', 'are="confirmed"')),
            p.rows(once('cardwatch_incident_alerts', 'incident', 'decided="undecided"')),
            p.rows('time() - (' + once('cardwatch_incident_last_seen_timestamp_seconds', 'incident') + ' > 0)'),
          ],
          { label: 'incident', name: 'Incident', links: [p.dashboard('${__value.text}', 'cardwatch-incident', '&var-incident=${__value.raw}')] },
          [
            { name: 'Watch', unit: 'short', mappings: p.words(['closed', 'text'], ['watched', 'green']) },
            { name: 'Revision', unit: 'none' },
            { name: 'Revised', unit: 'dateTimeFromNow' },
            { name: 'Cards listed', unit: 'short' },
            { name: 'Seen', unit: 'short' },
            { name: 'Suspected', unit: 'short' },
            { name: 'Confirmed', unit: 'short' },
            { name: 'Undecided alerts', unit: 'short', thresholds: p.rising(10, 50) },
            { name: 'Last seen, ago', unit: 's', thresholds: p.rising(2 * 86400, p.settings.silent_days * 86400) },
          ],
        ),
        p.number('Newest revision', 'When the list of any incident was changed last.', 'dateTimeFromNow', p.plain, [incident, p.runbook('wrong-list-imported')],
                 p.query('max(cardwatch_incident_revised_timestamp_seconds{' + p.chosen + '}) * 1000', 'Changed'), size=[6, 5]),
        p.number('Books made up', 'When the numbers of this dashboard were last made up from the topics.', 'dateTimeFromNow', p.plain, [books, p.runbook('CardwatchDown')],
                 p.query('max(cardwatch_books_timestamp_seconds{' + p.chosen + '}) * 1000', 'Made up'), size=[6, 5]),
        p.table(
          'Silent incidents', 'Open incidents without a use of any card for ' + p.settings.silent_days + ' days. Empty is how it should be.', 's', p.rising(p.settings.silent_days * 86400, 30 * 86400), [p.runbook('CardwatchHitsFellToNothing'), incident],
          [p.rows(silent)],
          { label: 'incident', name: 'Incident', links: [p.dashboard('${__value.text}', 'cardwatch-incident', '&var-incident=${__value.raw}')] },
          [{ name: 'Silent for', unit: 's' }],
          size=[12, 5]
        ),
      ],
    },
  ],
  [p.doc('How to work alerts', 'README.md'), p.doc('Runbooks', 'docs/runbooks/README.md')],
)

// One incident, or several together, chosen by the variable.
local p = import 'parts.libsonnet';

local once(metric, by, more='') =
  'max by (' + by + ') (' + metric + '{' + p.of_incident + (if more == '' then '' else ', ' + more) + '})';
local total(metric, more='') = 'sum(' + once(metric, 'incident', more) + ')';
local cards(are) = total('cardwatch_incident_cards', 'are="' + are + '"');
local overview = p.dashboard('Overview', 'cardwatch-overview');
local books = p.metric('books');
local open = p.alerts('Its open alerts', 'state=open&incident=${incident}');
local money(is) = 'sum by (currency, is) (' + once('cardwatch_incident_money_minor_units', 'incident, currency, is', 'is=~"' + is + '"') +
                  ') / on (currency) group_left () max by (currency) (cardwatch_currency_minor_units{' + p.chosen + '})';
local count(title, are, description) =
  p.number(title, description, 'short', p.plain, [overview, books], p.query(cards(are), title), size=[4, 4]);

p.board(
  'cardwatch-incident',
  'cardwatch / Incident',
  'The books of one incident: its cards, alerts, transactions and money.',
  [
    {
      title: 'The incident',
      panels: [
        p.number('Watch', 'Whether transactions on the cards are recognised.', 'short', p.plain, [overview, p.runbook('list-withdrawn')],
                 p.query('max(cardwatch_incident_open{' + p.of_incident + '})', 'Watch'), size=[4, 4]) +
        { fieldConfig+: { defaults+: { mappings: p.words(['closed', 'text'], ['watched', 'green']) } } },
        p.number('Revision', 'Number of the last revision of the list that is in force.', 'none', p.plain, [p.runbook('wrong-list-imported'), books],
                 p.query('max(cardwatch_incident_revision{' + p.of_incident + '})', 'Revision'), size=[4, 4]),
        p.number('Revised', 'When the list was last changed.', 'dateTimeFromNow', p.plain, [p.runbook('wrong-list-imported'), books],
                 p.query('max(cardwatch_incident_revised_timestamp_seconds{' + p.of_incident + '}) * 1000', 'Revised'), size=[4, 4]),
        p.number('Last use', 'How long ago a card of the incident was last used.', 's', p.rising(2 * 86400, p.settings.silent_days * 86400), [p.runbook('CardwatchHitsFellToNothing'), books],
                 p.query('time() - max(cardwatch_incident_last_seen_timestamp_seconds{' + p.of_incident + '} > 0)', 'Ago'), size=[4, 4]),
        p.number('Undecided alerts', 'Alerts on its cards that nobody has decided.', 'short', p.rising(10, 50), [open, books],
                 p.query(total('cardwatch_incident_alerts', 'decided="undecided"'), 'Alerts'), size=[4, 4]),
        p.number('Found to be fraud', 'Of the alerts that were decided as fraud or genuine: the share that was fraud. Low means that the rules are too eager.', 'percentunit', p.falling(0.1, 0.5), [p.doc('Rules', 'config/rules.toml'), books],
                 p.query(total('cardwatch_incident_alerts', 'decided="fraud"') + ' / sum(' + once('cardwatch_incident_alerts', 'incident, decided', 'decided=~"fraud|genuine"') + ')', 'Share'), size=[4, 4]),
      ],
    },
    {
      title: 'Cards',
      panels: [
        count('Listed', 'listed', 'Cards on the list now.'),
        count('Withdrawn', 'withdrawn', 'Cards that were taken off the list and whose records are kept.'),
        count('Seen', 'seen', 'Cards that were used at least once within the watch.'),
        count('Never seen', 'never_seen', 'Cards that were not used within the watch.'),
        count('Suspected', 'suspected', 'Cards on which an alert was raised.'),
        count('Confirmed', 'confirmed', 'Cards where a person found fraud.'),
        p.lines('Cards over time', 'What is known of the cards, over time. A step at a revision is the revision; a step elsewhere wants a look.', 'short', p.good, [overview, books],
                [p.query('sum by (are) (' + once('cardwatch_incident_cards', 'incident, are') + ')', '{{are}}')]),
        p.lines('Share of cards seen', 'Cards seen of all cards that were ever on the list.', 'percentunit', p.good, [overview, books],
                [p.query(cards('seen') + ' / sum(' + once('cardwatch_incident_cards', 'incident, are', 'are=~"listed|withdrawn|departed"') + ')', 'Seen')]),
      ],
    },
    {
      title: 'Transactions and alerts',
      panels: [
        p.lines('Transactions', 'Transactions on the cards within the watch, duplicates left out, by what they were: totals that never fall.', 'short', p.good, [overview, books],
                [p.query('sum by (was) (' + once('cardwatch_incident_uses', 'incident, was') + ')', '{{was}}')]),
        p.lines('Alerts by decision', 'Alerts on the cards, by what a person decided.', 'short', p.good, [open, books],
                [p.query('sum by (decided) (' + once('cardwatch_incident_alerts', 'incident, decided') + ')', '{{decided}}')]),
      ],
    },
    {
      title: 'Money',
      panels: [
        p.bars('Money by what became of it', 'In units of each currency: all approved and declined uses, those with an alert, those found to be fraud.', 'short', p.plain, [p.alerts('Its costliest alerts', 'order=costliest&incident=${incident}'), books],
               [p.query(money('.+'), '{{currency}} {{is}}')], size=[12, 8]),
        p.lines('Suspected and confirmed', 'Approved purchases with an alert, and those that a person found to be fraud, over time.', 'short', p.good, [p.alerts('Its costliest alerts', 'order=costliest&incident=${incident}'), books],
                [p.query(money('suspected_approved|confirmed_approved'), '{{currency}} {{is}}')], size=[12, 8]),
      ],
    },
  ],
  [p.doc('Books of an incident', 'docs/metrics.md'), p.doc('Runbooks', 'docs/runbooks/README.md')],
  from='now-7d',
  incident='one',
)

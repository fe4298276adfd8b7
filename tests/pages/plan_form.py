"""The fields of an experiment's plan, typed into, and the plan that was stored."""

from tests.pages.screen import ran


def field(app, label):
    items = [*app.text_input, *app.text_area, *app.number_input, *app.multiselect, *app.selectbox]
    return next(one for one in items if one.label.replace("\\", "") == label)


def fill(app, **texts):
    for label, value in texts.items():
        field(app, label.replace("_", " ")).set_value(value)
    return ran(app)


def paste(app, cases):
    app.segmented_control[0].set_value("Paste")
    ran(app)
    field(app, "Pasted cases").set_value(cases)
    return ran(app)


def stored(services, ada, experiment):
    return services.experiments.get(user_id=ada.id, experiment_id=experiment.id)
